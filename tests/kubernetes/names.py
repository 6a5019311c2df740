"""A name server for the pods: names that come and go, and answers that are kept for some seconds, as CoreDNS keeps them."""

import socket
import struct
import threading
import time


class NameServer:
    """Serves A records over UDP. What it has answered it goes on answering for `kept` seconds, be it an address or none."""

    def __init__(self, address, kept):
        self._kept = kept
        self._records = {}
        self._answers = {}
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def publish(self, name, address):
        with self._lock:
            self._records[name] = address

    def withdraw(self, name):
        with self._lock:
            self._records.pop(name, None)

    def _address(self, name):
        now = time.monotonic()
        with self._lock:
            address, until = self._answers.get(name, (None, 0))
            if now >= until:
                address, until = self._records.get(name), now + self._kept
                self._answers[name] = (address, until)
        return address

    def _serve(self):
        while True:
            packet, client = self._socket.recvfrom(4096)
            try:
                self._socket.sendto(self._answer(packet), client)
            except (OSError, IndexError, struct.error, UnicodeDecodeError):
                continue

    def _answer(self, packet):
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii"))
            at += 1 + packet[at]
        kind = struct.unpack("!H", packet[at + 1 : at + 3])[0]
        question = packet[12 : at + 5]
        address = self._address(".".join(labels).lower())
        if address is None:
            return packet[:2] + struct.pack("!HHHHH", 0x8583, 1, 0, 0, 0) + question
        if kind != 1:
            return packet[:2] + struct.pack("!HHHHH", 0x8580, 1, 0, 0, 0) + question
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 5, 4) + socket.inet_aton(address)
        return packet[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0) + question + record
