"""The page that says how to add an indicator is followed to the letter, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import tradeutils

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-an-indicator.md"
FILE = re.compile(r'(?ms)^```python title="(?P<path>[^"]+)"\n(?P<code>.*?)^```$')
USE = re.compile(r"(?ms)^```python\n(?P<code>.*?)^```\n```text\n(?P<printed>.*?)^```$")


def test_added_indicator_is_a_function_a_method_and_a_spec(tmp_path):
    """One declaration and one kernel, written as the page shows them, give what the page says they give."""
    package = Path(tradeutils.__file__).parent
    shutil.copytree(package, tmp_path / "tradeutils", ignore=shutil.ignore_patterns("__pycache__"))
    text = PAGE.read_text(encoding="utf-8")
    files = {match["path"]: match["code"] for match in FILE.finditer(text)}
    assert [Path(path).parent.name for path in files] == ["operators", "cpu", "declared"]
    for path, code in files.items():
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(code, encoding="utf-8")
    declared = tmp_path / "tradeutils" / "indicators" / "declared" / "__init__.py"
    before = declared.read_text(encoding="utf-8")
    declared.write_text(before.replace(" averages,", " averages, losses,").replace("(averages,", "(averages, losses,"))
    (use,) = USE.finditer(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEUTILS_", "COV", "NUMBA_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", use["code"]],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == use["printed"]
