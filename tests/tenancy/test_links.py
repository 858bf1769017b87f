from __future__ import annotations

import base64
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.tenancy.links import LEAD_TICKET, LinkSigner, OpenedLink
from lead_orchestrator.tenancy.secrets import generate_key

OLD, NEW = generate_key(), generate_key()
TENANT, LOCATION, LEAD = uuid4(), uuid4(), uuid4()
LATER = datetime(2030, 1, 1, tzinfo=UTC)
signer = LinkSigner([OLD], "https://tint.example.com/")


def token_of(link: str) -> str:
    return link.rpartition("/")[2]


def test_a_link_names_its_tenant_and_its_lead() -> None:
    chat, unsubscribe = signer.chat(TENANT, LEAD), signer.unsubscribe(TENANT, LEAD)

    assert chat.startswith("https://tint.example.com/c/")
    assert unsubscribe.startswith("https://tint.example.com/u/")
    assert signer.open("chat", token_of(chat)) == OpenedLink(TENANT, LEAD)
    assert signer.open("unsubscribe", token_of(unsubscribe)) == OpenedLink(TENANT, LEAD)


def test_a_link_fits_a_text_message() -> None:
    assert len(token_of(signer.chat(TENANT, LEAD))) == 64


@pytest.mark.parametrize(("made_for", "opened_for"), [("chat", "unsubscribe"), ("unsubscribe", "chat"), ("chat", "")])
def test_a_link_opens_for_its_own_purpose_only(made_for: str, opened_for: str) -> None:
    token = signer.token(made_for, TENANT, LEAD)

    with pytest.raises(NotFoundError, match="not valid"):
        signer.open(opened_for, token)


@given(st.integers(0, 47), st.integers(1, 255))
def test_no_byte_of_a_token_can_be_changed(place: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(signer.token("chat", TENANT, LEAD)))
    raw[place] ^= change

    with pytest.raises(NotFoundError):
        signer.open("chat", base64.urlsafe_b64encode(bytes(raw)).decode())


@given(st.text(max_size=200))
def test_what_is_not_ours_does_not_open(token: str) -> None:
    with pytest.raises(NotFoundError):
        signer.open("chat", token)


@given(st.binary(max_size=100))
def test_other_bytes_do_not_open(raw: bytes) -> None:
    with pytest.raises(NotFoundError):
        signer.open("chat", base64.urlsafe_b64encode(raw).decode())


def test_another_installations_link_does_not_open() -> None:
    with pytest.raises(NotFoundError):
        LinkSigner([NEW], "").open("chat", signer.token("chat", TENANT, LEAD))


def test_links_made_before_a_rotation_still_open_and_new_ones_have_the_new_key() -> None:
    rotated = LinkSigner([NEW, OLD], "https://tint.example.com")

    assert rotated.open("chat", signer.token("chat", TENANT, LEAD)) == OpenedLink(TENANT, LEAD)
    assert LinkSigner([NEW], "").open("chat", rotated.token("chat", TENANT, LEAD)) == OpenedLink(TENANT, LEAD)
    with pytest.raises(NotFoundError):
        signer.open("chat", rotated.token("chat", TENANT, LEAD))


def test_the_lead_of_one_tenant_cannot_be_put_into_anothers_link() -> None:
    mine, others = (signer.token("chat", tenant, LEAD) for tenant in (TENANT, UUID(int=1)))
    mixed = base64.urlsafe_b64decode(others)[:16] + base64.urlsafe_b64decode(mine)[16:]

    with pytest.raises(NotFoundError):
        signer.open("chat", base64.urlsafe_b64encode(mixed).decode())


def ticket(signer: LinkSigner = signer, purpose: str = LEAD_TICKET) -> str:
    return signer.ticket(purpose, TENANT, LOCATION, LATER, LEAD)


def test_a_ticket_names_its_lead_and_shop_and_is_another_one_each_time() -> None:
    one, other = ticket(), ticket()

    assert one != other
    opened = signer.open_ticket(LEAD_TICKET, one)
    assert (opened.tenant_id, opened.location_id, opened.lead_id) == (TENANT, LOCATION, LEAD)
    assert opened.expires_at == LATER
    assert opened.token == signer.open_ticket(LEAD_TICKET, f"{one}==").token == one


def test_a_ticket_shows_nothing_of_what_it_names() -> None:
    raw = base64.urlsafe_b64decode(ticket() + "==")

    for key in (TENANT, LOCATION, LEAD):
        assert key.bytes[:8] not in raw
        assert key.bytes[8:] not in raw


@given(st.integers(0, 83), st.integers(1, 255))
def test_no_byte_of_a_ticket_can_be_changed(place: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(ticket() + "=="))
    raw[place] ^= change

    with pytest.raises(NotFoundError):
        signer.open_ticket(LEAD_TICKET, base64.urlsafe_b64encode(bytes(raw)).decode())


def test_a_ticket_opens_for_its_purpose_and_installation_only_and_outlives_a_rotation() -> None:
    assert LinkSigner([NEW, OLD], "").open_ticket(LEAD_TICKET, ticket()).lead_id == LEAD
    for other, purpose in ((signer, "other"), (LinkSigner([NEW], ""), LEAD_TICKET)):
        with pytest.raises(NotFoundError):
            other.open_ticket(purpose, ticket())
    for wrong in ("", "a", signer.token("chat", TENANT, LEAD), signer.sign(LEAD_TICKET, b"x" * 56)):
        with pytest.raises(NotFoundError):
            signer.open_ticket(LEAD_TICKET, wrong)
