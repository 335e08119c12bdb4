#!/usr/bin/python3
"""A host at the end of a bad line, for the ping's tests: line.py INTERFACE

Answers each ICMP echo request that reaches the interface, in place of a kernel that does not know the address: of four in IPv4 the
last is lost, of two in IPv6 the first; the others take 30 ms and 50 ms in turn. It needs a raw packet socket, so root in
a network namespace. Prints "ready" when it listens.
"""

import socket
import sys
import threading

DELAYS = (0.030, 0.050)


def answer(frame):
    """The reply to an echo request, or None."""
    frame = bytearray(frame)
    kind = bytes(frame[12:14])
    if kind == b"\x08\x00" and frame[23] == 1:
        addresses, size, icmp = 26, 4, 14 + (frame[14] & 15) * 4
        request, reply = 8, 0
    elif kind == b"\x86\xdd" and frame[20] == 58:
        addresses, size, icmp = 22, 16, 54
        request, reply = 128, 129
    else:
        return None
    if frame[icmp] != request:
        return None
    frame[0:6], frame[6:12] = frame[6:12], frame[0:6]
    source = frame[addresses : addresses + size]
    frame[addresses : addresses + size] = frame[addresses + size : addresses + 2 * size]
    frame[addresses + size : addresses + 2 * size] = source
    frame[icmp] = reply
    # RFC 1624: the checksum follows the one word that changed.
    old = int.from_bytes(frame[icmp + 2 : icmp + 4], "big")
    total = (~old & 0xFFFF) + (~(request << 8) & 0xFFFF) + (reply << 8)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    frame[icmp + 2 : icmp + 4] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(frame), kind


def main():
    line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    line.bind((sys.argv[1], 3))
    print("ready", flush=True)
    seen = {}
    while True:
        frame, address = line.recvfrom(2048)
        # What goes out on the interface is heard as well.
        if address[2] == socket.PACKET_OUTGOING:
            continue
        reply = answer(frame)
        if reply is None:
            continue
        frame, kind = reply
        number = seen[kind] = seen.get(kind, -1) + 1
        is_lost = number % 4 == 3 if kind == b"\x08\x00" else number % 2 == 0
        if not is_lost:
            threading.Timer(DELAYS[number % 2], line.send, (frame,)).start()


main()
