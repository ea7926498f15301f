"""Pushes to Android: Firebase Cloud Messaging, HTTP v1.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages, and for the access token
https://developers.google.com/identity/protocols/oauth2/service-account
"""

import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from pushes import RENEW_SECONDS, Data, Device, Send, accepted
from signed_token import signed_token

URL = "https://fcm.googleapis.com/v1/projects/{project}/messages:send"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Fcm:
    account: dict[str, str]  # the service account's JSON file
    send: Send
    access: str = ""
    renew_at: float = 0.0

    async def push(self, device: Device, data: Data) -> bool:
        if time.time() >= self.renew_at:
            self.access, self.renew_at = await self.access_token(), time.time() + RENEW_SECONDS
        # Data and no notification: the app itself must run, and shows the call.
        android = {"priority": "HIGH", "ttl": "30s"}
        message = {"message": {"token": device.token, "data": data, "android": android}}
        headers = {"authorization": f"Bearer {self.access}", "content-type": "application/json"}
        url = URL.format(project=self.account["project_id"])
        return accepted(*await self.send(url, headers, json.dumps(message).encode()))

    async def access_token(self) -> str:
        url, now = self.account["token_uri"], int(time.time())
        claims = {
            "iss": self.account["client_email"],
            "scope": SCOPE,
            "aud": url,
            "iat": now,
            "exp": now + 3600,
        }
        assertion = signed_token(claims, self.account["private_key"])
        form = urlencode({"grant_type": GRANT, "assertion": assertion})
        headers = {"content-type": "application/x-www-form-urlencoded"}
        status, answer = await self.send(url, headers, form.encode())
        accepted(status, answer)
        token: str = json.loads(answer)["access_token"]
        return token
