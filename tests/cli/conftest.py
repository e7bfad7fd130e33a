"""A server behind every URL, and a way to run commands on it."""

import logging

import pytest

from hvconsole import cli
from tests.cli.stage import CANARY, Said, Server


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server behind every URL; settings, pins and history in a folder of the test's own."""
    monkeypatch.setenv("HVCONSOLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HVCONSOLE_PASSWORD", CANARY)
    server = Server()

    def open_hypervisor(target, secret, trust, clock):
        server.logins.append((target, secret.password, trust))
        error = server.trouble.get("login")
        if error is not None:
            raise error
        return server

    monkeypatch.setattr("hvconsole.cli.session.open_hypervisor", open_hypervisor)
    monkeypatch.setattr("hvconsole.doctor.open_hypervisor", open_hypervisor)
    return server


@pytest.fixture
def run(capsys):
    def run(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as exc:
            code = exc.code
        captured = capsys.readouterr()
        assert CANARY not in captured.out + captured.err
        return Said(code, captured.out, captured.err)

    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield run
    logging.getLogger().handlers[:], logging.getLogger().level = before[0], before[1]
