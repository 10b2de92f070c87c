"""Where a result comes from: the commit of this repository, never that of another one."""

import os
import subprocess

import pytest

from igbrepro.claims.provenance import provenance, repository_state


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    run = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return run.stdout.strip()


@pytest.fixture
def clone(tmp_path):
    """A repository with one commit and a folder below."""
    folder = tmp_path / "clone"
    for name in ("site-packages", "igbrepro"):
        (folder / name).mkdir(parents=True)
    (folder / "igbrepro/__init__.py").touch()
    (folder / "file").write_text("1\n")
    git(folder, "init", "-q")
    git(folder, "add", "file", "igbrepro")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_clone_has_its_commit_and_tells_changes(clone):
    head = git(clone, "rev-parse", "HEAD")
    assert repository_state(clone) == {"commit": head, "dirty": False, "why": ""}
    (clone / "file").write_text("2\n")
    assert repository_state(clone)["dirty"] is True
    assert provenance(clone)["commit"] == head


def test_an_installed_copy_inside_another_repository_takes_not_its_commit(clone):
    assert repository_state(clone / "site-packages") == {
        "commit": None,
        "dirty": None,
        "why": "installed inside another repository",
    }


def test_a_copy_at_the_top_of_a_users_repository_takes_not_its_commit(clone):
    git(clone, "rm", "-q", "--cached", "igbrepro/__init__.py")
    assert repository_state(clone)["commit"] is None


def test_the_repository_whose_hook_runs_is_not_taken_for_ours(clone, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-qm", "another", "--allow-empty")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert repository_state(clone)["commit"] == git(clone, "--git-dir", str(clone / ".git"), "rev-parse", "HEAD")


def test_outside_any_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert repository_state(tmp_path) == {"commit": None, "dirty": None, "why": "not a git clone"}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert repository_state(tmp_path)["why"] == "git is not installed"


def test_a_clone_of_another_owner_has_its_commit(clone, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    refused = subprocess.run(["git", "status"], cwd=clone, env=os.environ, capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr
    assert repository_state(clone)["commit"] is not None
