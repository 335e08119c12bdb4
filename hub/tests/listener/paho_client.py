"""Scenarios of a paho 1.6 client against the listener: paho_client.py SCENARIO PORT. Exits 0 if all held."""

import queue
import sys

import paho.mqtt.client as mqtt

PORT = int(sys.argv[2])
PATIENCE = 10


class Client:
    """A client with its messages in a queue."""

    def __init__(self, name, clean=True, will=None):
        self.messages, self.events = queue.Queue(), queue.Queue()
        self.client = mqtt.Client(client_id=name, clean_session=clean, protocol=mqtt.MQTTv311)
        if will:
            self.client.will_set(*will)
        self.client.on_connect = lambda c, u, flags, rc: self.events.put(("connect", flags["session present"], rc))
        self.client.on_subscribe = lambda c, u, mid, granted: self.events.put(("granted", granted))
        self.client.on_disconnect = lambda c, u, rc: self.events.put(("disconnect", rc))
        self.client.on_message = lambda c, u, m: self.messages.put((m.topic, m.payload, m.qos, bool(m.retain)))
        # A client that was taken over must not fight back within the test.
        self.client.reconnect_delay_set(min_delay=60, max_delay=60)
        self.client.connect("127.0.0.1", PORT, keepalive=10)
        self.client.loop_start()
        self.present = self.event("connect")[1]

    def event(self, kind):
        event = self.events.get(timeout=PATIENCE)
        assert event[0] == kind, event
        return event

    def subscribe(self, *filters):
        self.client.subscribe(list(filters))
        return list(self.event("granted")[1])

    def publish(self, topic, payload, qos=1, retain=False):
        info = self.client.publish(topic, payload, qos, retain)
        info.wait_for_publish(PATIENCE)
        assert info.is_published()

    def next(self):
        return self.messages.get(timeout=PATIENCE)

    def leave(self):
        self.client.disconnect()
        self.event("disconnect")
        self.client.loop_stop()

    def nothing(self):
        """Nothing waits: a message to itself comes first."""
        self.subscribe(("own/#", 1))
        self.publish("own/ping", b"x")
        assert self.next()[0] == "own/ping"


def check(found, expected):
    assert found == expected, f"{found} instead of {expected}"


def retained():
    publisher = Client("publisher")
    publisher.publish("a/b", b"old", retain=True)
    publisher.publish("a/b", b"new", retain=True)
    reader = Client("reader")
    check(reader.subscribe(("a/#", 1)), [1])
    check(reader.next(), ("a/b", b"new", 1, True))
    publisher.publish("a/b", b"", retain=True)
    check(reader.next(), ("a/b", b"", 1, False))
    late = Client("late")
    late.subscribe(("a/#", 1))
    late.nothing()


def overlapping():
    reader, publisher = Client("reader"), Client("publisher")
    check(reader.subscribe(("a/+", 0), ("a/b", 2), ("#", 0)), [0, 1, 0])
    publisher.publish("a/b", b"x", qos=2)
    publisher.publish("a/c", b"y", qos=1)
    check(reader.next(), ("a/b", b"x", 1, False))
    check(reader.next(), ("a/c", b"y", 0, False))
    publisher.publish("end", b"z", qos=0)
    check(reader.next(), ("end", b"z", 0, False))


def session():
    reader = Client("reader", clean=False)
    check(reader.present, 0)
    reader.subscribe(("a", 1))
    reader.leave()
    publisher = Client("publisher")
    publisher.publish("a", b"not kept", qos=0)
    for number in range(50):
        publisher.publish("a", str(number), qos=1)
    reader = Client("reader", clean=False)
    check(reader.present, 1)
    check([reader.next()[1] for _ in range(50)], [str(number).encode() for number in range(50)])
    reader.nothing()
    reader.leave()
    check(Client("reader", clean=True).present, 0)


def qos2():
    reader, publisher = Client("reader"), Client("publisher")
    check(reader.subscribe(("a", 2)), [1])
    for number in range(50):
        publisher.publish("a", str(number), qos=2)
    check([reader.next() for _ in range(50)], [("a", str(number).encode(), 1, False) for number in range(50)])
    reader.nothing()


def takeover():
    watcher = Client("watcher")
    watcher.subscribe(("will/#", 1))
    first = Client("rack", will=("will/rack", b"gone", 1, False))
    second = Client("rack")
    check(first.event("disconnect")[1] != 0, True)
    check(watcher.next(), ("will/rack", b"gone", 1, False))
    second.nothing()


def large():
    reader, publisher = Client("reader"), Client("publisher")
    reader.subscribe(("a", 1))
    payload = bytes(number % 251 for number in range(200_000))
    for _ in range(5):
        publisher.publish("a", payload, qos=1)
        check(reader.next(), ("a", payload, 1, False))


def will():
    watcher = Client("watcher")
    watcher.subscribe(("will/#", 1))
    Client("polite", will=("will/polite", b"gone", 1, True)).leave()
    broken = Client("broken", will=("will/broken", b"gone", 1, True))
    broken.client.loop_stop()
    broken.client._sock_close()
    check(watcher.next(), ("will/broken", b"gone", 1, False))
    late = Client("late")
    late.subscribe(("will/#", 0))
    check(late.next(), ("will/broken", b"gone", 0, True))


{f.__name__: f for f in (retained, overlapping, session, qos2, takeover, large, will)}[sys.argv[1]]()
