"""`rrdbg serve`: who gets in, what they get, and that what they opened ends with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from rrdbg_core.errors import ExitCode

from rrdbg.cli.main import main
from rrdbg.tui import serve
from rrdbg.tui.serve import Server
from tests.cli.support import RRDBG, Cli, run

Socket = aiohttp.ClientWebSocketResponse
TOKEN = "the-token"
PATIENCE_S = 120.0
STUB = """
import json, os, sys
out = sys.stdout.buffer
def put(text):
    data = text.encode()
    out.write(b"D" + len(data).to_bytes(4, "big") + data)
    out.flush()
out.write(b"something that a library says\\n__GANGLION__\\n")
put(json.dumps({"argv": sys.argv[1:], "pid": os.getpid(), "size": [os.environ["COLUMNS"], os.environ["ROWS"]]}))
while True:
    head = sys.stdin.buffer.read(5)
    if len(head) < 5:
        break
    data = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"M" and json.loads(data)["type"] == "quit" and "deaf" not in sys.argv:
        break
    if data == b"end":
        break
    put(head[:1].decode() + data.decode())
if "deaf" in sys.argv:
    import time
    time.sleep(1000)
"""
"""Speaks as the interface does: tells what it was started with, and echoes what it is told."""


def alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(condition: Callable[[], object]) -> None:
    """Wait for something."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


class Browser:
    """A client that says what it likes."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.origin = f"http://127.0.0.1:{server.port}"

    async def get(self, path: str = f"/{TOKEN}/", **headers: str) -> tuple[int, str, dict[str, str]]:
        """Fetch a page."""
        async with self.session.get(self.origin + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), dict(answer.headers)

    @asynccontextmanager
    async def socket(
        self, path: str = f"/{TOKEN}/ws", **headers: str
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a websocket."""
        url = f"ws://127.0.0.1:{self.server.port}{path}"
        async with self.session.ws_connect(url, headers={"Origin": self.origin} | headers) as websocket:
            yield websocket

    async def refused(self, path: str = f"/{TOKEN}/ws", **headers: str) -> int:
        """Try to open a websocket, and return the status that came instead."""
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with self.socket(path, **headers):
                pass
        return caught.value.status


@asynccontextmanager
async def serving(*arguments: str, path: str = "run.rrt", **options: object) -> AsyncIterator[Browser]:
    """Serve a stub of the interface."""
    command = (sys.executable, "-c", STUB, *arguments)
    server = Server(path, **({"port": 0, "token": TOKEN, "command": command} | options))  # type: ignore[arg-type]
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Browser(server, session)
    finally:
        await server.stop()


# ---- who gets in -----------------------------------------------------------------------------------------------------
async def test_the_right_address_gives_the_page() -> None:
    async with serving(path="/some/where/<b>&run.rrt") as browser:
        status, text, headers = await browser.get()
        assert status == 200
        assert "&lt;b&gt;&amp;run.rrt" in text
        assert "<b>" not in text
        assert f"ws://127.0.0.1:{browser.server.port}/{TOKEN}/ws" in text
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    async with serving() as browser:
        _, text, _ = await browser.get()
        assert re.findall(r"https?://", text) == []
        parts = set(re.findall(r'(?:src|href)="([^"]+)"', text)) | set(re.findall(r'url\("([^"]+)"\)', text))
        wanted = {part for part in parts if part and not part.startswith("data:")}
        assert len(wanted) >= 4
        for part in wanted:
            status, *_ = await browser.get(f"/{TOKEN}/{part}") if part.endswith("t") else (200,)
            assert status == 200, part
            assert (serve.STATIC / part.removeprefix("static/")).is_file()
        for name in ("js/textual.js", "css/xterm.css"):
            assert re.findall(r"https?://(?!bellard|github)", (serve.STATIC / name).read_text()) == []


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "/wrong/", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", "/ws", "/static/js/textual.js", "/é/", "/%ff/"),
        *("/wrong/static/js/textual.js", f"/x/../{TOKEN.upper()}/", f"/wrong/../wrong/{TOKEN}/"),
    ],
)
async def test_without_the_token_nothing_is_given(path: str) -> None:
    async with serving() as browser:
        status, text, _ = await browser.get(path)
        assert status == 403
        assert TOKEN not in text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}",
             "10.0.0.1:{port}", "x@127.0.0.1:{port}", "127.0.0.1:{port}/", "[::1", "", ":{port}", "127.0.0.1:{port}x"]
)  # fmt: skip
async def test_other_hosts_are_refused(host: str) -> None:
    """A name that resolves to this machine, though it is nobody's here, belongs to an attacker: DNS rebinding."""
    async with serving() as browser:
        name = host.format(port=browser.server.port)
        status, text, _ = await browser.get(Host=name)
        assert status in (400, 403)
        assert TOKEN not in text
        assert await browser.refused(Host=name, Origin=f"http://{name}") in (400, 403)
        assert not browser.server.tabs


@pytest.mark.parametrize("host", ["localhost:{port}", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}"])
async def test_names_of_this_machine_are_let_in(host: str) -> None:
    async with serving() as browser:
        name = host.format(port=browser.server.port)
        status, text, _ = await browser.get(Host=name)
        assert status == 200
        assert f"ws://{name}/{TOKEN}/ws" in text
        async with browser.socket(Host=name, Origin=f"http://{name}") as websocket:
            assert json.loads((await websocket.receive_bytes()).decode())["argv"] == []


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://localhost:{port}",
               "http://127.0.0.1:{port}.evil.example", "http://127.0.0.1:{port}/", ""]
)  # fmt: skip
async def test_other_origins_are_refused(origin: str) -> None:
    async with serving() as browser:
        name = origin.format(port=browser.server.port)
        assert (await browser.get(Origin=name))[0] == 403
        assert await browser.refused(Origin=name) == 403
        assert not browser.server.tabs


async def test_a_websocket_needs_token_and_origin() -> None:
    async with serving() as browser:
        assert await browser.refused("/wrong/ws") == 403
        assert await browser.refused("/ws") == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with browser.session.ws_connect(f"ws://127.0.0.1:{browser.server.port}/{TOKEN}/ws"):
                pass
        assert caught.value.status == 403
        assert not browser.server.tabs


async def test_beyond_this_machine_addresses_and_its_own_names_are_let_in() -> None:
    async with serving(host="0.0.0.0") as browser:
        port = browser.server.port
        for name, status in {"192.0.2.7": 200, socket.gethostname(): 200, "evil.example": 403}.items():
            assert (await browser.get(Host=f"{name}:{port}"))[0] == status
        assert browser.server.url == f"http://{socket.gethostname()}:{port}/{TOKEN}/"


def test_every_server_has_a_token_of_its_own() -> None:
    tokens = {Server("run.rrt").token for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) >= 32 for token in tokens)


# ---- tabs ------------------------------------------------------------------------------------------------------------
STRANGE = ["a b.rrt", "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "new\nline", "é*?~"]


@pytest.mark.parametrize("name", STRANGE)
async def test_no_shell_takes_a_file_name_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    server = Server(name, theme=name)
    assert server.command[-2:] == (str(tmp_path / name), name)
    async with serving(*server.command[-2:]) as browser, browser.socket() as websocket:
        told = json.loads((await websocket.receive_bytes()).decode())
        assert told["argv"] == [str(tmp_path / name), name]
    assert list(tmp_path.iterdir()) == []


async def test_what_is_typed_reaches_the_interface() -> None:
    async with serving() as browser, browser.socket(f"/{TOKEN}/ws?width=101&height=31") as websocket:
        assert json.loads((await websocket.receive_bytes()).decode())["size"] == ["101", "31"]
        await websocket.send_json(["stdin", "abc"])
        assert await websocket.receive_bytes() == b"Dabc"
        await websocket.send_json(["resize", {"width": 90, "height": 10**9}])
        assert await websocket.receive_bytes() == b'M{"type": "resize", "width": 90, "height": 1000}'
        await websocket.send_json(["ping", 7])
        assert await websocket.receive_json() == ["pong", 7]
        await websocket.send_json(["blur"])
        assert await websocket.receive_bytes() == b'M{"type": "blur"}'


@pytest.mark.parametrize("nonsense", ["", "{", "[]", "7", '["stdin"]', '["stdin", 7]', '["resize", {"width": "x"}]',
                                      '["resize", null]', "[" * 100_000, '["unknown", {}]'])  # fmt: skip
async def test_nonsense_is_passed_over(nonsense: str) -> None:
    async with serving() as browser, browser.socket() as websocket:
        await websocket.receive_bytes()
        await websocket.send_str(nonsense)
        await websocket.send_json(["stdin", "still here"])
        assert await websocket.receive_bytes() == b"Dstill here"


async def test_tabs_are_processes_and_end_with_them() -> None:
    async with serving() as browser:
        async with browser.socket() as one, browser.socket() as other:
            pids = [json.loads((await tab.receive_bytes()).decode())["pid"] for tab in (one, other)]
            assert len(set(pids)) == 2
            assert {tab.pid for tab in browser.server.tabs} == set(pids)
            await one.close()
            await until(lambda: not alive(pids[0]))
            assert alive(pids[1])
        await until(lambda: not alive(pids[1]))
        await until(lambda: not browser.server.tabs)


async def test_an_interface_that_ends_closes_its_tab() -> None:
    async with serving() as browser, browser.socket() as websocket:
        await websocket.receive_bytes()
        await websocket.send_json(["stdin", "end"])
        assert (await websocket.receive()).type == aiohttp.WSMsgType.CLOSE


async def test_an_interface_that_does_not_end_is_made_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "GRACE_S", 0.1)
    async with serving("deaf") as browser:
        async with browser.socket() as websocket:
            pid = json.loads((await websocket.receive_bytes()).decode())["pid"]
        await until(lambda: not alive(pid))


async def test_the_end_of_the_server_ends_all_tabs() -> None:
    pids = []
    async with serving() as browser, browser.socket() as one, browser.socket() as other:
        pids = [json.loads((await tab.receive_bytes()).decode())["pid"] for tab in (one, other)]
        await browser.server.stop()
        assert (await one.receive()).type == aiohttp.WSMsgType.CLOSE
    assert not any(map(alive, pids))


async def test_there_are_only_so_many_tabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "TABS", 1)
    async with serving() as browser:
        async with browser.socket() as websocket:
            await websocket.receive_bytes()
            assert await browser.refused() == 503
        await until(lambda: not browser.server.tabs)
        async with browser.socket() as websocket:
            await websocket.receive_bytes()


# ---- the real thing --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serve") / "it's a $HOME trace.rrt"
    assert main(["record", "guest:hello", "-q", "-o", str(path), "--no-input"]) == 0
    return path


async def test_a_tab_draws_the_first_screen(trace: Path) -> None:
    server = Server(str(trace), port=0)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            headers = {"Origin": server.url.rsplit("/", 2)[0]}
            url = server.url.replace("http://", "ws://") + "ws?width=100&height=30"
            drawn = b""
            async with asyncio.timeout(PATIENCE_S), session.ws_connect(url, headers=headers) as websocket:
                while b"80000000" not in drawn:
                    drawn += await websocket.receive_bytes()
            assert b"it's a $HOME trace.rrt" in drawn
        await until(lambda: not server.tabs)
    finally:
        await server.stop()


def test_a_dead_server_leaves_nobody_behind(trace: Path) -> None:
    script = f"""
        import asyncio, aiohttp, os, sys
        from rrdbg.tui.serve import Server
        async def main():
            server = Server({str(trace)!r}, port=0)
            await server.start()
            async with aiohttp.ClientSession() as session:
                headers = {{"Origin": server.url.rsplit("/", 2)[0]}}
                async with session.ws_connect(server.url.replace("http", "ws") + "ws", headers=headers) as websocket:
                    await websocket.receive_bytes()
                    print(next(iter(server.tabs)).pid, flush=True)
                    os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, check=False)
    pid = int(done.stdout)
    end = time.monotonic() + PATIENCE_S
    while alive(pid) and _state(pid) != "Z":
        assert time.monotonic() < end
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


# ---- the command line ------------------------------------------------------------------------------------------------
def test_it_prints_its_address_and_ends_with_ctrl_c(trace: Path) -> None:
    process = subprocess.Popen(
        [*RRDBG, "serve", str(trace), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address = process.stdout.readline()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32,}/\n", address)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.OK
    assert out == ""
    assert "the server has ended" in err
    assert "Traceback" not in err


def test_a_port_in_use_is_told(trace: Path, cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = cli("serve", trace, "--port", str(taken.getsockname()[1]))
        outcome.told(ExitCode.HOST_IO, "is in use", "--port 0")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("serve", "nothing.rrt"), ExitCode.NOT_FOUND, "nothing.rrt"),
        (("serve", "{trace}", "--host", "192.0.2.1"), ExitCode.HOST_IO, "cannot listen"),
        (("serve", "{trace}", "--theme", "plaid"), ExitCode.USAGE, "rrdbg-night"),
    ],
)
def test_what_cannot_be_served_is_told(
    trace: Path, cli: Cli, args: tuple[str, ...], code: ExitCode, words: str
) -> None:
    cli(*(arg.format(trace=trace) for arg in args)).told(code, words)


def test_a_port_that_is_none(trace: Path) -> None:
    outcome = run("serve", trace, "--port", "70000")
    assert outcome.code == ExitCode.USAGE
    assert "not a port" in outcome.err
