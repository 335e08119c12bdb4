"""A paho 1.6 client over WebSocket against the hub's /mqtt: websocket_client.py PORT. Exits 0 if all held."""

import queue
import sys

import paho.mqtt.client as mqtt

PORT = int(sys.argv[1])
PATIENCE = 20


def client(name, password, headers=None):
    one = mqtt.Client(client_id=name, transport="websockets", protocol=mqtt.MQTTv311)
    one.ws_set_options(path="/mqtt", headers=headers)
    if password:
        one.username_pw_set("panel", password)
    events = queue.Queue()
    one.on_connect = lambda c, u, flags, rc: events.put(rc)
    one.on_message = lambda c, u, m: events.put((m.topic, m.payload, bool(m.retain)))
    one.on_subscribe = lambda c, u, mid, granted: events.put(list(granted))
    one.reconnect_delay_set(min_delay=60, max_delay=60)
    return one, events


def connected(name, password):
    one, events = client(name, password)
    one.connect("127.0.0.1", PORT, keepalive=10)
    one.loop_start()
    return one, events, events.get(timeout=PATIENCE)


one, events, code = connected("panel", "open-sesame")
assert code == 0, code
one.subscribe([("home/#", 1)])
assert events.get(timeout=PATIENCE) == [1]
for payload in (b"on", b"x" * 200_000):
    one.publish("home/lamp", payload, 1, False)
    assert events.get(timeout=PATIENCE) == ("home/lamp", payload, False)
# What only the hub may say goes nowhere.
one.publish("rackside/1/arena-north/rack-1/ack", b"forged", 1).wait_for_publish(PATIENCE)
one.publish("home/lamp", b"off", 1)
assert events.get(timeout=PATIENCE)[1] == b"off"
one.disconnect()

# A wrong password, and none: 4 and 5 of CONNACK.
assert connected("other", "wrong")[2] == 4
assert connected("other", None)[2] == 5


def refused(headers):
    try:
        client("page", "open-sesame", headers)[0].connect("127.0.0.1", PORT, keepalive=10)
    except (mqtt.WebsocketConnectionError, ValueError):
        return True
    return False


def ask(own):
    return lambda headers: {**headers, **own}


# A page of somebody else's; and who says nothing of MQTT.
assert refused(ask({"Origin": "https://elsewhere.example"}))
assert refused(ask({"Sec-Websocket-Protocol": "chat"}))
