"""The Node client of the tests: laid once and kept, as the broker's jars are; a registry is needed only then."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.support.clickhouse import CHECKOUT

FOLDER = Path(__file__).with_name("kafkajs")
LAID = CHECKOUT / ".gris" / "kafkajs"
INSTALL_SECONDS = 120


def program(name: str) -> str:
    """Answer the path of node or npm."""
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: install Node.js 18 or later (Debian: apt-get install nodejs npm)"
    return found


def lay_kafkajs() -> Path:
    """Lay kafkajs with npm unless it is there for this very package-lock.json; gives the folder of its modules."""
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = LAID / "lock.sha256"
    LAID.parent.mkdir(parents=True, exist_ok=True)
    with LAID.with_name("kafkajs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may want it at the same moment
        if not stamp.exists() or stamp.read_text() != wanted:
            staged = LAID.with_name("kafkajs.new")
            shutil.rmtree(staged, ignore_errors=True)
            shutil.copytree(FOLDER, staged)
            install = [program("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            ran = subprocess.run(
                install, cwd=staged, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
            assert ran.returncode == 0, f"npm could not fetch kafkajs; is its registry in reach?\n{ran.stderr}"
            (staged / stamp.name).write_text(wanted)
            shutil.rmtree(LAID, ignore_errors=True)
            staged.replace(LAID)
    return LAID / "node_modules"
