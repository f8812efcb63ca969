"""A small TCP proxy in front of a server: the network, which a test can take away, and give back.

It hands bytes on until it is told to `drop` what is connected (a reset, as a router or a firewall sends it), to let
nobody in (`refusing`), or to go `silent`: connections stay, and nothing moves.
"""

import contextlib
import select
import socket
import struct
import threading

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close sends a reset
_CHUNK = 65_536
_PAUSE = 0.01  # seconds between looks at what a test has changed


class Proxy:
    """Listens on `port` of loopback, before the server at `target`. `accepted`: connections seen so far."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.refusing = False
        self.silent = False
        self.accepted = 0
        self._left: int | None = None
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Reset all connections, on both sides."""
        with self._lock:
            pairs, self._left = list(self._pairs), None
        for pair in pairs:
            self._reset(pair)

    def drop_after(self, size: int) -> None:
        """Drop all once the server has sent `size` more bytes, whoever to; who connects then gets in again."""
        self._left = size

    def restore(self) -> None:
        """The network as it should be."""
        self.refusing, self.silent, self._left = False, False, None

    def end(self) -> None:
        self._ended.set()
        self.drop()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._listener], [], [], 0.1)[0]:
                continue
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.accepted += 1
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        server = socket.socket()
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        if self.refusing or server.connect_ex(("127.0.0.1", self.target)):
            self._reset(pair)
            return
        threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair: tuple[socket.socket, socket.socket]) -> None:
        client, server = pair
        try:
            while not self._ended.wait(_PAUSE if self.silent else 0):
                for source in select.select(pair, [], [], _PAUSE)[0] if not self.silent else ():
                    sent = source.recv(_CHUNK)
                    if not sent:
                        return
                    if source is server and self._spent(len(sent)):
                        self.drop()
                        return
                    (client if source is server else server).sendall(sent)
        except (OSError, ValueError):  # reset by `drop`, or by one of the two
            pass
        finally:
            self._reset(pair, politely=True)

    def _spent(self, size: int) -> bool:
        with self._lock:
            if self._left is not None:
                self._left -= size
            return self._left is not None and self._left <= 0

    def _reset(self, pair: tuple[socket.socket, socket.socket], politely: bool = False) -> None:
        with self._lock:
            known = pair in self._pairs
            self._pairs.discard(pair)
        for end in pair if known else ():
            with contextlib.suppress(OSError):
                if not politely:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.close()
