"""A real mail server (aiosmtpd) that keeps what it takes and prints it.

usage: smtp.py none|starttls|tls CERTIFICATE KEY LOGIN...
First its port, then a line of JSON for each mail. LOGIN is `user` and `password`; without them anybody may send.
Recipients called gone@ are refused for ever, those called later@ the first two times, and those called stuck@ get no answer; slow…@ get theirs after a
second.
"""

import asyncio
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# It warns of what a test does on purpose.
logging.getLogger("mail.log").setLevel(logging.ERROR)
warnings.simplefilter("ignore")

mode, certificate, key, *login = sys.argv[1:]


class Sink:
    def __init__(self):
        self.later = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "gone":
            return "550 5.1.1 no such user"
        if name == "later" and self.later.get(address, 0) < 2:
            self.later[address] = self.later.get(address, 0) + 1
            return "451 4.7.1 come back later"
        if name.startswith("slow"):
            await asyncio.sleep(1)
        if name == "stuck":
            await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or mode == "tls",
            "login": session.authenticated is True,
            "content": envelope.content.decode("utf-8"),
        }
        print(json.dumps(mail), flush=True)
        return "250 OK"


def authenticator(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    return AuthResult(success=given == login, handled=False)


async def main():
    context = None
    if mode != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    sink = Sink()
    settings = {"hostname": "mail.example.org"}
    if mode == "starttls":
        settings.update(tls_context=context, require_starttls=True)
    if login:
        settings.update(authenticator=authenticator, auth_required=True, auth_require_tls=mode == "starttls")
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, **settings), "127.0.0.1", 0, ssl=context if mode == "tls" else None
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    # The test's end of stdin is closed when the test is over, however it ends.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
