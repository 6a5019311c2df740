"""As much of the protocol of Redis as the tests need. With TLS_DIR in the environment TLS is spoken, with the files in there."""

import os
import socket
import ssl


class Refused(Exception):
    """An error that was answered."""


class Connection:
    def __init__(self, host, port, password=None, timeout=1.0):
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if folder := os.environ.get("TLS_DIR"):
            context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
            context.load_cert_chain(f"{folder}/tls.crt", f"{folder}/tls.key")
            # Proxies are reached by their addresses here.
            context.check_hostname = False
            self._socket = context.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")
        if password:
            self.say("AUTH", password)

    def close(self):
        self._file.close()
        self._socket.close()

    def say(self, *words):
        self.send(words)
        return self.read()

    def say_all(self, commands):
        self.send(*commands)
        return [self.read() for _ in commands]

    def send(self, *commands):
        parts = []
        for words in commands:
            parts.append(b"*%d\r\n" % len(words))
            for word in words:
                word = str(word).encode()
                parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self._socket.sendall(b"".join(parts))

    def read(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the connection was closed")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "replace")
        if kind == b"-":
            raise Refused(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"$":
            return self._file.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        return [self.read() for _ in range(int(rest))]


def fields(flat):
    """A flat list of names and values as a dictionary."""
    return dict(zip(flat[::2], flat[1::2]))
