from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from lead_orchestrator.errors import ConfigurationError
from lead_orchestrator.tenancy.secrets import SecretBox, SecretError, generate_key, new_token, token_hash

OLD, NEW = generate_key(), generate_key()
TENANT, OTHER = UUID("01990000-0000-7000-8000-000000000001"), UUID("01990000-0000-7000-8000-000000000002")
FIELD = "twilio_auth_token"


def test_a_secret_opens_for_its_tenant_and_field() -> None:
    box = SecretBox([OLD])
    sealed = box.seal(TENANT, FIELD, "s3cret-é-\U0001f697")
    assert b"s3cret" not in sealed
    assert box.open(TENANT, FIELD, sealed) == "s3cret-é-\U0001f697"
    assert sealed != box.seal(TENANT, FIELD, "s3cret-é-\U0001f697")


def test_a_secret_moved_to_another_tenant_or_field_does_not_open() -> None:
    box = SecretBox([OLD])
    sealed = box.seal(TENANT, FIELD, "s3cret")
    for tenant, field in ((OTHER, FIELD), (TENANT, "sendgrid_api_key"), (TENANT, "")):
        with pytest.raises(SecretError) as caught:
            box.open(tenant, field, sealed)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("sealed", [b"", b"x", b"\xff" * 100, b"gAAAA" * 30])
def test_what_was_not_sealed_does_not_open(sealed: bytes) -> None:
    box = SecretBox([OLD])
    with pytest.raises(SecretError):
        box.open(TENANT, FIELD, sealed)
    with pytest.raises(SecretError):
        box.rotate(sealed)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SecretError):
        SecretBox([NEW]).open(TENANT, FIELD, SecretBox([OLD]).seal(TENANT, FIELD, "s3cret"))


def test_rotation_seals_with_the_newest_key() -> None:
    sealed = SecretBox([OLD]).seal(TENANT, FIELD, "s3cret")
    both = SecretBox([NEW, OLD])
    assert both.open(TENANT, FIELD, sealed) == "s3cret"
    rotated = both.rotate(sealed)
    assert SecretBox([NEW]).open(TENANT, FIELD, rotated) == "s3cret"
    with pytest.raises(SecretError):
        SecretBox([OLD]).open(TENANT, FIELD, rotated)
    with pytest.raises(SecretError):
        both.open(OTHER, FIELD, rotated)


def test_address_hashes_survive_a_rotation_while_the_anchor_stays_last() -> None:
    before, after, lost = SecretBox([OLD]), SecretBox([generate_key(), NEW, OLD]), SecretBox([NEW])
    address = "+12135550101"
    assert before.address_hash(TENANT, "phone", address) == after.address_hash(TENANT, "phone", address)
    assert before.anchor_fingerprint == after.anchor_fingerprint
    assert before.address_hash(TENANT, "phone", address) != lost.address_hash(TENANT, "phone", address)
    assert before.anchor_fingerprint != lost.anchor_fingerprint


def test_an_address_hash_belongs_to_one_tenant_kind_and_address() -> None:
    box = SecretBox([OLD])
    hashes = {
        box.address_hash(tenant, kind, address)
        for tenant in (TENANT, OTHER)
        for kind in ("phone", "email")
        for address in ("+12135550101", "+12135550102", "")
    }
    assert len(hashes) == 12
    assert {len(digest) for digest in hashes} == {32}
    assert box.address_hash(TENANT, "a", 'b", "c') != box.address_hash(TENANT, 'a", "b', "c")


def test_the_hash_key_is_not_the_sealing_key() -> None:
    box = SecretBox([OLD])
    assert OLD not in repr(vars(box))


@pytest.mark.parametrize("keys", [[], [""], ["short"], [OLD, "not base64 !!"], [OLD[:-4]], [OLD + OLD]])
def test_a_wrong_key_is_refused_at_start_by_its_place(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SecretBox(keys)
    assert "SECRETS_KEY" in caught.value.message
    assert OLD[:8] not in caught.value.message


def test_random_tokens_are_stored_by_their_hash() -> None:
    token = new_token()
    assert len(token) >= 43
    assert new_token() != token
    assert token_hash(token) == token_hash(token)
    assert len(token_hash(token)) == 32
    assert token_hash(token) != token_hash(str(uuid4()))
