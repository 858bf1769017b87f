// The chat behind the link of a message: one conversation, over GraphQL for what is written and graphql-transport-ws for what
// happens. Every message is stored by the server and numbered; whoever loses the connection goes on after the last number seen.
"use strict";

const page = document.querySelector("main");
const texts = JSON.parse(page.dataset.texts);
const documents = JSON.parse(page.dataset.documents);
const log = document.querySelector("[role=log]");
const empty = document.querySelector(".empty");
const typing = document.querySelector(".typing");
const banner = document.querySelector("[role=status]");
const form = document.querySelector("form");
const field = form.querySelector("textarea");

const START = `mutation ($input: StartChatInput!) { startChat(input: $input) {
  session { id state } visitorToken chatToken errors { code message } } }`;
const RETRIES = [500, 1000, 2000, 5000, 10000];
const TYPING_MS = 5000;

let chat; // { session, visitorToken, chatToken }
let cursor = "cmv_0";
let socket;
let failures = 0;
let saidTyping = 0;
let typingEnds;
let readSoon;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function ask(body, token) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const answer = await fetch("/graphql", { method: "POST", headers, body: JSON.stringify(body) });
  const { data, errors } = await answer.json();
  if (!data || errors) throw Object.assign(new Error(errors?.[0]?.message), { code: errors?.[0]?.extensions?.code });
  return Object.values(data)[0];
}

const byHash = (name, variables) => ({
  variables,
  extensions: { persistedQuery: { version: 1, sha256Hash: documents[name] } },
});

async function enter(chatToken) {
  const answer = await ask({ query: START, variables: { input: { chatToken } } });
  if (answer.errors.length) throw Object.assign(new Error(answer.errors[0].message), { final: true });
  chat = answer;
  showState(chat.session.state);
}

// A token lasts for minutes: whoever is refused for it comes back with a fresh one, once.
async function asked(name, variables) {
  try {
    return await ask(byHash(name, variables), chat.visitorToken);
  } catch (error) {
    if (error.code !== "UNAUTHENTICATED") throw error;
    await enter(chat.chatToken);
    return ask(byHash(name, variables), chat.visitorToken);
  }
}

function connect() {
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/graphql`, "graphql-transport-ws");
  const say = (message) => socket.send(JSON.stringify(message));
  socket.onopen = () => say({ type: "connection_init", payload: { Authorization: `Bearer ${chat.visitorToken}` } });
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "connection_ack") {
      failures = 0;
      banner.classList.remove("lost");
      showState(chat.session.state);
      const variables = { sessionId: chat.session.id, after: cursor };
      say({ id: "chat", type: "subscribe", payload: byHash("WidgetChatEvents", variables) });
    } else if (message.type === "next") {
      happened(message.payload.data?.chatEvents);
    } else if (message.type === "ping") {
      say({ type: "pong" });
    } else if (message.type === "error") {
      end(texts.ended);
    }
  };
  socket.onclose = ({ code }) => comeBack(code);
}

async function comeBack(code) {
  if (chat.session.state === "ENDED") return;
  banner.textContent = texts.reconnecting;
  banner.classList.add("lost");
  await wait(RETRIES[Math.min(failures++, RETRIES.length - 1)]);
  try {
    if (code === 4401 || code === 4403) await enter(chat.chatToken);
    connect();
  } catch (error) {
    if (error.final) end(texts.ended);
    else comeBack(code);
  }
}

function happened(event) {
  if (!event) return;
  cursor = event.cursor ?? cursor;
  switch (event.__typename) {
    case "ChatMessageAdded":
      return show(event.message);
    case "ChatMessageDelta":
      return grow(event);
    case "ChatMessageRetracted":
      return document.getElementById(event.messageId)?.remove();
    case "ChatTyping":
      return event.role !== "USER" && showTyping();
    case "ChatStateChanged":
      chat.session.state = event.state;
      return showState(event.state);
  }
}

function bubble(id, role) {
  const item = document.createElement("div");
  item.id = id;
  item.className = `message ${role.toLowerCase()}`;
  const who = document.createElement("span");
  who.className = "who";
  who.textContent = texts[role];
  const words = document.createElement("p");
  item.append(who, words);
  log.append(item);
  empty.hidden = true;
  return item;
}

function show(message) {
  const known = document.getElementById(message.id) ?? (message.clientId && document.getElementById(message.clientId));
  const item = known || bubble(message.id, message.role);
  item.id = message.id;
  item.className = `message ${message.role.toLowerCase()}`;
  item.querySelector("p").replaceChildren(...linked(message.text));
  log.querySelectorAll(".choices").forEach((old) => old.remove()); // what was offered before is answered
  const choices = [...(message.services ?? []).map(service), ...(message.slots ?? []).map(slot)];
  if (choices.length) offer(item, choices);
  if (message.role !== "USER") {
    typing.hidden = true;
    markRead();
  }
  item.scrollIntoView({ block: "end" });
}

// Words as they are written. A gap is no harm: the message itself follows.
function grow({ messageId, offset, text }) {
  const item = document.getElementById(messageId) ?? bubble(messageId, "ASSISTANT");
  const words = item.querySelector("p");
  if (item.classList.contains("growing") || words.textContent === "") {
    item.classList.add("growing");
    if (offset <= words.textContent.length) words.textContent = words.textContent.slice(0, offset) + text;
    typing.hidden = true;
    item.scrollIntoView({ block: "end" });
  }
}

function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)])/).map((part, place) => {
    if (place % 2 === 0) return document.createTextNode(part);
    const link = document.createElement("a");
    link.href = link.textContent = part;
    link.rel = "noopener noreferrer";
    return link;
  });
}

const money = ({ amountCents, currency }) =>
  new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency }).format(amountCents / 100);
const service = ({ name, price }) => ({ label: price ? `${name} · ${money(price)}` : name, says: name });
const slot = ({ localStart }) => ({ label: localStart, says: localStart });

function offer(item, choices) {
  const list = document.createElement("div");
  list.className = "choices";
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", texts.choose);
  for (const { label, says } of choices) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.onclick = () => {
      list.remove();
      field.focus();
      send(says);
    };
    list.append(button);
  }
  item.append(list);
}

function showTyping() {
  typing.hidden = false;
  clearTimeout(typingEnds);
  typingEnds = setTimeout(() => (typing.hidden = true), TYPING_MS);
}

function showState(state) {
  banner.textContent = texts[`state_${state}`] ?? "";
  if (state === "CLOSED") end(texts.state_CLOSED);
}

function end(words) {
  banner.textContent = words;
  banner.classList.remove("lost");
  field.disabled = form.querySelector("button").disabled = true;
  chat && (chat.session.state = "ENDED");
}

function markRead() {
  clearTimeout(readSoon);
  readSoon = setTimeout(() => {
    if (!document.hidden) asked("WidgetMarkChatRead", { sessionId: chat.session.id }).catch(() => {});
  }, 1000);
}

const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Sent again under the same id until it is answered: the server takes it for one message.
async function send(text) {
  const clientId = newId();
  const item = bubble(clientId, "USER");
  item.classList.add("sending");
  item.querySelector("p").textContent = text;
  item.scrollIntoView({ block: "end" });
  for (const pause of [...RETRIES, undefined]) {
    try {
      const answer = await asked("WidgetSendChatMessage", { input: { sessionId: chat.session.id, text, clientId } });
      item.classList.remove("sending");
      if (answer.errors.length) failed(item, answer.errors[0].message);
      else if (document.getElementById(clientId)) item.id = answer.message.id;
      return;
    } catch (error) {
      if (error.final || pause === undefined) return failed(item, texts.failed);
      await wait(pause);
    }
  }
}

function failed(item, words) {
  item.classList.add("failed");
  const note = document.createElement("span");
  note.className = "note";
  note.textContent = words;
  item.append(note);
}

form.onsubmit = (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (!text || !chat || field.disabled) return;
  field.value = "";
  send(text);
};

field.onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
};

field.oninput = () => {
  if (!chat || Date.now() - saidTyping < TYPING_MS / 2) return;
  saidTyping = Date.now();
  asked("WidgetSetTyping", { sessionId: chat.session.id }).catch(() => {});
};

document.addEventListener("visibilitychange", () => document.hidden || (chat && markRead()));

async function open() {
  for (const pause of [...RETRIES, undefined]) {
    try {
      await enter(page.dataset.token);
      const { messages } = await asked("WidgetChatSession", { id: chat.session.id, last: 50 });
      messages.edges.forEach(({ node }) => show(node));
      cursor = messages.pageInfo.endCursor ?? cursor;
      form.hidden = false;
      field.focus();
      return connect();
    } catch (error) {
      if (error.final || pause === undefined) return end(error.final ? texts.ended : texts.failed);
      banner.textContent = texts.reconnecting;
      await wait(pause);
    }
  }
}

open();
