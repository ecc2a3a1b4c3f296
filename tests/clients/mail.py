"""A mail server: prints each mail it takes as one JSON object on a line, after a line with its port.

python mail.py PORT [FOLDER]: with a folder it asks for STARTTLS and a sign-in (headwater, open sesame), and writes the
certificate to be trusted there (authority.pem). Port 0 takes any."""

import asyncio
import json
import os
import ssl
import sys
from email import message_from_bytes, policy

import trustme
from aiosmtpd.smtp import AuthResult, SMTP

PORT = int(sys.argv[1])
FOLDER = sys.argv[2] if len(sys.argv) > 2 else None


class Taker:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.original_content, policy=policy.default)
        parts = [
            {"type": part.get_content_type(), "id": part["content-id"], "text": content(part), "size": size(part)}
            for part in mail.walk()
            if not part.is_multipart()
        ]
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "head": [[name, str(value)] for name, value in mail.items()],
            "parts": parts,
            "tls": session.ssl is not None,
            "login": session.auth_data.decode() if session.authenticated else None,
        }
        print(json.dumps(told), flush=True)
        return "250 taken"


def content(part):
    return part.get_content() if part.get_content_maintype() == "text" else None


def size(part):
    """Width, height and number of different bytes of a PNG: of a blank one there are hardly any."""
    data = part.get_payload(decode=True)
    if not data.startswith(b"\x89PNG"):
        return None
    import struct
    import zlib

    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            chunks.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    width, height = struct.unpack(">II", data[16:24])
    return [width, height, len(set(zlib.decompress(b"".join(chunks))))]


def signed_in(server, session, envelope, mechanism, login):
    if login.login == b"headwater" and login.password == b"open sesame":
        return AuthResult(success=True, auth_data=login.login)
    return AuthResult(success=False, handled=False)


options = {}
if FOLDER:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(os.path.join(FOLDER, "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    options = {
        "tls_context": context,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": signed_in,
    }


async def serve():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Taker(), hostname="mail.test", **options), "127.0.0.1", PORT)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
