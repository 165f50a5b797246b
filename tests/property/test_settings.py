"""No secret shows, wherever a user puts it and whatever else is wrong."""

from __future__ import annotations

import copy
import json
import pathlib
import tempfile
import traceback

from hypothesis import given
from hypothesis import strategies as st

from tradeutils.errors import SettingsError
from tradeutils.settings import Credentials, Secret, Settings, redact_url

# Marked, since a secret may otherwise be a word that stands in a traceback by itself.
values = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Z"]), max_size=40).map(
    lambda value: f"Pl4nt{value}3d"
)
credentials = st.sampled_from(["key", "secret", "password", "uid", "wallet_address", "private_key", "token"])


@given(st.text(min_size=1))
def test_secret_reveals_what_it_was_given_and_prints_none_of_it(value: str) -> None:
    """Any text survives, lone surrogates and control characters among it."""
    secret = Secret(value)
    assert secret.reveal() == value
    assert repr(secret) == str(secret) == f"{secret}" == "***"
    assert copy.deepcopy(secret) == Secret(value)
    assert Secret(value) != Secret(f"{value}x")


@given(
    st.sampled_from(["redis", "rediss", "unix", "redis+cluster", "https", "wss"]),
    st.text(alphabet="abc", max_size=5),
    st.text(alphabet="XYZ:/@?#%&=+ ", min_size=4).filter(lambda value: any(c in "XYZ" for c in value)),
    st.sampled_from(["h", "h:6379", "[::1]:1", ""]),
    st.sampled_from(["", "/0", "/0?db=1"]),
)
def test_redacted_url_shows_nothing_of_the_password(
    scheme: str, user: str, password: str, host: str, path: str
) -> None:
    """Not even of one that should have been percent-encoded; outside the web's URLs, where an @ may be a path's."""
    if scheme in {"https", "wss"}:
        password = "".join(character for character in password if character not in "/?#")
    shown = redact_url(f"{scheme}://{user}:{password}@{host}{path}")
    assert not any(character in "XYZ" for character in shown)
    assert shown.endswith(f"@{host}{path}")


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str]:
    """Return a secret and a file that holds it: where it belongs, under a wrong name, or in broken syntax."""
    secret = draw(values)
    text = json.dumps(secret, ensure_ascii=False).replace("\x7f", "\\u007f")
    key = draw(credentials)
    line = draw(
        st.sampled_from(
            [
                f"{key} = {text}",
                f"{key}s_ = {text}",
                f"{key} = [{text}]",
                f"{key} = {{ x = {text} }}",
                f"{key} = {secret}",
                f'{key} = "{secret}',
                f"{key}_env = {text}",
                f"{key}_file = {text}",
                f"{key} = {text}\n{key} = {text}",
                f"{key} = {text}\n{key}_env = {text}",
                f"options = {text}",
                f"{key} = {text}\nsandbox = 5",
                f"{key} = {text}\n[cache]\ntimeout = -1",
                f"{key} = {text}\n[cache]\nurl = {text}",
                f"{key} = {text}\n[{key}]\nurl = {text}",
            ]
        )
    )
    return secret, f'{draw(st.sampled_from(["", "[accounts]", "[accounts.a]", "[cache]"]))}\nexchange = "okx"\n{line}\n'


@given(documents(), st.booleans())
def test_file_with_a_secret_is_read_or_refused_without_showing_it(document: tuple[str, str], override: bool) -> None:
    """The settings' repr, the error's message and the library's locals in its traceback are searched."""
    secret, text = document
    environ = {"TRADEUTILS_ACCOUNTS__A__KEY": secret} if override else {}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "tradeutils.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600)
        try:
            shown = repr(Settings.load(file, environ=environ))
        except SettingsError as error:
            step = error.__traceback__
            assert step is not None
            shown = "".join(
                traceback.TracebackException(type(error), error, step.tb_next, capture_locals=True).format()
            )
    assert secret not in shown.replace(str(file), "").replace(repr(str(file)), "")


@given(values, credentials)
def test_environment_carries_any_credential(value: str, key: str) -> None:
    """What is set in a variable arrives as it is, in the credential it names."""
    environ = {"TRADEUTILS_ACCOUNTS__A__EXCHANGE": "okx", f"TRADEUTILS_ACCOUNTS__A__{key.upper()}": value}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "tradeutils.toml"
        file.touch()
        settings = Settings.load(file, environ=environ)
    assert settings.accounts["a"].credentials == Credentials(**{key: value})
    assert [secret.reveal() for secret in settings.secrets()] == [value]
