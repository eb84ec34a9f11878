"""`rrdbg serve`: the interface in a browser, through textual-serve.

Whoever reaches the interface can read every file that a trace carries and run commands of the debugger, so the server
lets in only those who know its address: the path starts with a random token, on pages and on the websocket alike.
Beyond that, requests must name a host that is ours (a foreign name that resolves to this machine is an attack: DNS
rebinding), and must not come from pages of other origins. Each tab has an interface, and with it an engine, of its own.
No shell is involved, and the page loads nothing from anywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import html
import ipaddress
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import textual_serve
from aiohttp import WSMsgType, web
from rrdbg_core.errors import ExitCode, RrdbgError
from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

from rrdbg.tui.serve_app import DRIVER

LOOPBACK = "127.0.0.1"
"""Where the server listens unless told otherwise."""
PORT = 8731
"""Port, unless told otherwise."""
TABS = 8
"""Most tabs at a time: each has an engine with the guest's RAM."""
TOKEN_BYTES = 24
"""Bytes of randomness in the address."""
GRACE_S = 5.0
"""How long the interface of a closed tab may take to end."""
CLOSE_S = 2.0
"""How long a browser may take to agree that its websocket is closed."""
MAX_CELLS = 1000
"""Most columns or rows that a browser may ask for."""
FONT_PX = 16
STATIC = Path(textual_serve.__file__).parent / "static"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Tab(AppService):
    """The interface of one tab.

    Args:
        command: Program and arguments, run as they are: no shell takes them apart.
        websocket: The tab.
    """

    def __init__(self, command: tuple[str, ...], websocket: web.WebSocketResponse) -> None:
        super().__init__(
            "",
            write_bytes=websocket.send_bytes,
            write_str=websocket.send_str,
            close=websocket.close,  # type: ignore[arg-type]
            download_manager=DownloadManager(),
        )
        self._argv = command
        self.websocket = websocket
        """The tab."""

    async def _open_app_process(self, width: int = 80, height: int = 24) -> asyncio.subprocess.Process:
        environment = self._build_environment(width, height) | {"TEXTUAL_DRIVER": DRIVER}
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            # Ctrl-C in the server's terminal is for the server
            start_new_session=os.name == "posix",
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        return self._process

    @property
    def pid(self) -> int | None:
        """Number of the interface's process."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Carry what the interface draws to the tab until it ends; then the tab is told."""
        assert self._process is not None
        assert self._process.stdout is not None
        stdout = self._process.stdout
        handlers = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        # the process may say things before the driver starts, and the tab may go away at any time
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (line := await stdout.readline()) and line != b"__GANGLION__\n":
                pass
            while True:
                kind, size = await stdout.readexactly(1), await stdout.readexactly(4)
                payload = await stdout.readexactly(int.from_bytes(size, "big"))
                if kind in handlers:
                    await handlers[kind](payload)
        with contextlib.suppress(ConnectionError):
            await self.websocket.close()

    async def stop(self) -> None:
        """End the interface, by force if it does not end by itself. May be called again."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            await self.send_meta({"type": "quit"})
            with contextlib.suppress(OSError, RuntimeError):
                self.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), GRACE_S)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._task is not None:
            # it ends with the output of the process, unless the tab does not take it
            await asyncio.wait({self._task}, timeout=1.0)
            self._task.cancel()


class Server:
    """Serves one trace.

    Args:
        path: The trace.
        host: Address or name to listen at.
        port: Port; 0: a free one.
        theme: Name of a theme, or None.
        token: What the address holds; None: a random one.
        command: What runs in each tab; None: the interface on the trace.
    """

    def __init__(
        self,
        path: str,
        *,
        host: str = LOOPBACK,
        port: int = PORT,
        theme: str | None = None,
        token: str | None = None,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self.title = os.path.basename(path)
        self.host, self.port = host, port
        self.token = secrets.token_urlsafe(TOKEN_BYTES) if token is None else token
        arguments = [os.path.abspath(path), *([] if theme is None else [theme])]
        self.command = command or (sys.executable, "-m", "rrdbg.tui.serve_app", *arguments)
        self.tabs: set[Tab] = set()
        """The tabs that are open."""
        self._page = files("rrdbg.tui").joinpath("serve_page.html").read_text(encoding="utf-8")
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address, token and all; known once the server runs."""
        host = self.host
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(host)
            if address.is_unspecified:  # all of this machine's addresses: its name stands for them
                host = socket.gethostname()
            elif address.version == 6:
                host = f"[{host}]"
        return f"http://{host}:{self.port}/{self.token}/"

    async def start(self) -> None:
        """Listen.

        Raises:
            RrdbgError: The port is taken, or the address is not this machine's.
        """
        app = web.Application(middlewares=[self._guard])
        app.add_routes(
            [
                web.get("/{token}/", self._index),
                web.get("/{token}/ws", self._socket),
                web.static(f"/{self.token}/static", STATIC),
            ]
        )
        app.on_shutdown.append(self._close_tabs)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise self._refusal(error) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close all tabs and stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _refusal(self, error: OSError) -> RrdbgError:
        where = f"{self.host}:{self.port}"
        if error.errno == errno.EADDRINUSE:
            return RrdbgError(
                f"port {self.port} is in use",
                hint="give another with --port; --port 0 takes a free one",
                exit_code=ExitCode.HOST_IO,
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return RrdbgError(f"may not listen at {where}", hint="take a port from 1024 on", exit_code=ExitCode.HOST_IO)
        return RrdbgError(
            f"cannot listen at {where}: {error.strerror or error}",
            hint="--host takes an address of this machine",
            exit_code=ExitCode.HOST_IO,
        )

    # who may come in

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = self._objection(request)
        if refused:
            return web.Response(status=403, text=f"{refused}\n", headers=_headers())
        return await handler(request)

    def _objection(self, request: web.Request) -> str:
        """Return why a request is refused, or ""."""
        if not self._is_ours(request.headers.getall("Host", [])):
            return "this server does not go by that name: use the address that rrdbg printed"
        token = request.path.removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return "the address lacks its token: use the one that rrdbg printed"
        origins = request.headers.getall("Origin", [])
        websocket = request.headers.get("Upgrade", "").lower() == "websocket" or request.path.endswith("/ws")
        if websocket and not origins:
            return "a websocket has to say which page it belongs to"
        if any(origin != f"http://{request.headers['Host']}" for origin in origins):
            return "pages of other origins have no access"
        return ""

    def _is_ours(self, hosts: list[str]) -> bool:
        """Return whether a request names this machine as nobody else could: by an address, or by a name of ours."""
        if len(hosts) != 1:
            return False
        try:
            parts = urlsplit(f"//{hosts[0]}")
            name, port = parts.hostname or "", parts.port
        except ValueError:
            return False
        if parts.netloc != hosts[0] or "@" in hosts[0] or (80 if port is None else port) != self.port:
            return False
        if name in {"localhost", self.host.lower()}:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return self._is_open and name in {socket.gethostname().lower(), socket.getfqdn().lower()}
        return address.is_loopback or self._is_open

    @property
    def _is_open(self) -> bool:
        """Whether the server listens beyond this machine."""
        return not is_loopback(self.host)

    # what they get

    async def _index(self, request: web.Request) -> web.Response:
        host = request.headers["Host"]
        page = self._page
        for name, value in {
            "TITLE": self.title,
            "SOCKET": f"ws://{host}/{self.token}/ws",
            "FONT": str(_number(request.query.get("fontsize"), FONT_PX, 72)),
        }.items():
            page = page.replace(f"@{name}@", html.escape(value))
        return web.Response(text=page, content_type="text/html", headers=_headers(host))

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if len(self.tabs) >= TABS:
            return web.Response(status=503, text=f"{TABS} tabs are open already: close one\n", headers=_headers())
        websocket = web.WebSocketResponse(heartbeat=15, timeout=CLOSE_S)
        tab = Tab(self.command, websocket)
        self.tabs.add(tab)
        try:
            await websocket.prepare(request)
            width, height = (_number(request.query.get(name), size) for name, size in (("width", 80), ("height", 24)))
            await tab.start(width, height)
            async for message in websocket:
                if message.type == WSMsgType.TEXT:
                    await self._take(tab, websocket, message.data)
        except ConnectionError:
            pass  # the tab is gone
        finally:
            try:
                await asyncio.shield(tab.stop())
            finally:
                self.tabs.discard(tab)
        return websocket

    async def _take(self, tab: Tab, websocket: web.WebSocketResponse, text: str) -> None:
        """Do what the page says; what makes no sense is passed over."""
        try:
            match json.loads(text):
                case ["stdin", str(data)]:
                    await tab.send_bytes(data.encode("utf-8", "replace"))
                case ["resize", {"width": int(width), "height": int(height)}]:
                    await tab.set_terminal_size(_within(width), _within(height))
                case ["ping", data]:
                    await websocket.send_json(["pong", data])
                case ["blur", *_]:
                    await tab.blur()
                case ["focus", *_]:
                    await tab.focus()
        except (ValueError, RecursionError):
            pass

    async def _close_tabs(self, app: web.Application) -> None:
        await asyncio.gather(*(self._close(tab) for tab in list(self.tabs)))

    @staticmethod
    async def _close(tab: Tab) -> None:
        with contextlib.suppress(ConnectionError):
            await tab.websocket.close(message=b"the server ends")
        await tab.stop()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _within(cells: int) -> int:
    return min(max(cells, 1), MAX_CELLS)


def _number(text: str | None, default: int, most: int = MAX_CELLS) -> int:
    return min(max(int(text), 1), most) if text is not None and text.isascii() and text.isdigit() else default


def _headers(host: str = "") -> dict[str, str]:
    """Return headers that keep the page, and its address, to itself."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        f"img-src 'self' data:; connect-src ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy if host else "default-src 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def run(server: Server, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is called with the address.

    Raises:
        RrdbgError: The server cannot listen.
    """
    asyncio.run(_serve(server, ready))


async def _serve(server: Server, ready: Callable[[str], None]) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends it
                loop.add_signal_handler(getattr(signal, name), over.set)
    await server.start()
    try:
        ready(server.url)
        await over.wait()
    finally:
        await server.stop()
