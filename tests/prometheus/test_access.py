import pytest

from dataefficient.prometheus.access import AccessRefused, access_from, chosen_address

DEFAULT = "http://prometheus.monitoring.svc:9090"


@pytest.mark.parametrize(
    ("declared", "default", "allowed", "chosen"),
    [
        (None, None, [], None),
        (None, DEFAULT, [], DEFAULT),
        (DEFAULT, DEFAULT, [], DEFAULT),
        (f"{DEFAULT}/", DEFAULT, [], f"{DEFAULT}/"),
        ("http://Prometheus.Monitoring.svc.:9090", DEFAULT, [], "http://Prometheus.Monitoring.svc.:9090"),
        ("https://a", DEFAULT, ["https://a:443"], "https://a"),
        ("https://a/tenant", None, ["https://b", "https://a/tenant/"], "https://a/tenant"),
    ],
)
def test_an_address_that_is_allowed_is_asked(declared, default, allowed, chosen):
    assert chosen_address(declared, default=default, allowed=allowed) == chosen


@pytest.mark.parametrize(
    "declared",
    [
        "https://prometheus.monitoring.svc:9090",
        "http://prometheus.monitoring.svc:9091",
        "http://prometheus.monitoring.svc",
        "http://prometheus.monitoring.svc:9090/admin",
        "http://prometheus.monitoring.svc:9090/x/..",
        "http://prometheus.monitoring.svc.evil:9090",
        "http://evil:99999",
        "http://evil",
    ],
)
def test_any_other_address_is_refused_with_what_is_allowed(declared):
    with pytest.raises(AccessRefused) as caught:
        chosen_address(declared, default=DEFAULT, allowed=["https://other"])
    for part in ("spec.prometheus.address", declared, DEFAULT, "https://other", "prometheus.allowed"):
        assert part in str(caught.value)


def test_where_nothing_is_allowed_every_address_is_refused():
    with pytest.raises(AccessRefused, match="allowed here: none"):
        chosen_address("http://x", default=None, allowed=[])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"token": b"t", "username": b"u", "password": b"p"}, "remove one of the two"),
        ({"token": b"t", "password": b"p"}, "remove one of the two"),
        ({"username": b"u"}, "add the other"),
        ({"password": b"p"}, "add the other"),
        ({"username": b"a:b", "password": b"p"}, "colon"),
        ({"token": b""}, "token is empty"),
        ({"token": b"\xff"}, "token is empty or not one line"),
        ({"token": b"a\nX-Evil: 1"}, "not one line"),
        ({"Token": b"t"}, "known are token"),
        ({"tls.crt": b"x"}, "add the other"),
        ({"tls.key": b"x"}, "add the other"),
        ({"tls.crt": b"x", "tls.key": b"y"}, "PEM certificate with its unencrypted key"),
        ({"ca.crt": b"nonsense"}, "PEM certificates"),
        ({"ca.crt": b""}, "PEM certificates"),
        ({"ca.crt": b"\xff"}, "PEM certificates"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_with_what_to_do(data, told):
    with pytest.raises(AccessRefused, match=told):
        access_from(data)


def test_a_secret_without_anything_means_no_credentials():
    access = access_from({})
    assert access.authorization is None
    assert access.tls is None
