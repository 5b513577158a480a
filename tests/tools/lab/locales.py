"""Locales for servers, made into a directory of the test's own: nothing of the system changes."""

import os
import subprocess
from pathlib import Path


def make(directory, *names):
    """Makes the UTF-8 locales `names` (de_DE); returns the environment in which they are found."""
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    for name in names:
        target = directory / f"{name}.utf8"
        if not target.exists():
            # Warnings about a locale's own definition are its authors' business: status 1 is good.
            done = subprocess.run(
                ["localedef", "--no-archive", "-c", "-i", name, "-f", "UTF-8", target],
                capture_output=True, text=True, check=False)
            if done.returncode > 1 or not (target / "LC_MESSAGES").is_dir():
                raise RuntimeError(f"localedef {name}: {done.stderr}")
        for path, _, files in os.walk(target):
            os.chmod(path, 0o755)
            for file in files:
                os.chmod(os.path.join(path, file), 0o644)
    return {"LOCPATH": str(directory)}
