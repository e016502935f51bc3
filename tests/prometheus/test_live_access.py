"""Credentials and certificates, against a real server that demands them."""

import ssl

import pytest
import trustme

from dataefficient.cycle.answers import Cause, Verdict
from dataefficient.prometheus.access import access_from
from prometheus.live import prometheus

SECRET = "$2b$04$nyHsSMrMwF1/LT67WxZhG.Ml/tMif5NAQnHxp6SE3FCO.gJeQUPzO"
"""Of the password ``right``, with bcrypt at its lowest cost."""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def guarded(binary, tmp_path_factory):
    """A server that demands a user and a password."""
    with prometheus(
        binary, tmp_path_factory.mktemp("basic"), {}, web_config=f"basic_auth_users: {{reader: '{SECRET}'}}"
    ) as address:
        yield address


@pytest.fixture(scope="module")
def mutual(binary, authority, tmp_path_factory):
    """A server with a certificate of the test's authority, which demands one of its clients, too."""
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "server.crt")
    issued.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    config = (
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, "
        "client_auth_type: RequireAndVerifyClientCert}"
    )
    with prometheus(binary, folder, {}, web_config=config, scheme="https") as address:
        yield address


@pytest.fixture
def client(authority):
    issued = authority.issue_cert("operator")
    return {
        "ca.crt": authority.cert_pem.bytes(),
        "tls.crt": issued.cert_chain_pems[0].bytes(),
        "tls.key": issued.private_key_pem.bytes(),
    }


def ask_one(put_to, address, secret):
    return put_to(address, query="vector(1)", assume_fresh=True, access=access_from(secret))


def test_the_right_password_is_let_in(put_to, guarded):
    answer = ask_one(put_to, guarded, {"username": b"reader", "password": b"right\n"})
    assert (answer.verdict, answer.value) == (Verdict.OK, 1.0)


@pytest.mark.parametrize(
    "secret", [{}, {"username": b"reader", "password": b"wrong"}, {"token": b"right"}], ids=str
)
def test_without_the_right_password_it_fails_and_says_what_to_correct(put_to, guarded, secret):
    answer = ask_one(put_to, guarded, secret)
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.UNAUTHORIZED)
    assert "correct the Secret" in answer.message


def test_a_server_and_a_client_of_the_given_authority_trust_each_other(put_to, mutual, client):
    answer = ask_one(put_to, mutual, client)
    assert (answer.verdict, answer.value) == (Verdict.OK, 1.0)


def test_a_server_of_an_unknown_authority_is_not_trusted(put_to, mutual, client):
    answer = ask_one(put_to, mutual, {**client, "ca.crt": trustme.CA().cert_pem.bytes()})
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.TLS)
    assert "ca.crt" in answer.message


def test_a_server_of_another_name_is_not_trusted(put_to, mutual, client):
    answer = ask_one(put_to, mutual.replace("127.0.0.1", "localhost"), client)
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.TLS)


def test_a_client_without_a_certificate_is_turned_away(put_to, mutual, client):
    answer = ask_one(put_to, mutual, {"ca.crt": client["ca.crt"]})
    assert answer.verdict is Verdict.FAILED
    assert answer.cause in (Cause.TLS, Cause.UNREACHABLE)


def test_plain_http_to_a_tls_server_fails(put_to, mutual):
    answer = ask_one(put_to, mutual.replace("https", "http"), {})
    assert (answer.verdict, answer.cause) == (Verdict.FAILED, Cause.NOT_UNDERSTOOD)


def test_the_clients_key_is_nowhere_on_the_disk(client):
    context = access_from(client).tls
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
