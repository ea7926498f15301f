"""Pushes to iOS: Apple Push Notification service, VoIP pushes.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns, and for the token
https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
"""

import json
import time
from dataclasses import dataclass

from pushes import RENEW_SECONDS, Data, Device, Send, accepted
from signed_token import signed_token


@dataclass
class Apns:
    private_key: str  # of the .p8 file, in PEM
    key_id: str
    team_id: str
    bundle_id: str  # of the app
    send: Send
    url: str = (
        "https://api.push.apple.com"  # of apps from Xcode: https://api.sandbox.push.apple.com
    )
    token: str = ""
    renew_at: float = 0.0

    async def push(self, device: Device, data: Data) -> bool:
        now = time.time()
        if now >= self.renew_at:
            claims = {"iss": self.team_id, "iat": int(now)}
            self.token = signed_token(claims, self.private_key, kid=self.key_id)
            self.renew_at = now + RENEW_SECONDS
        headers = {
            "authorization": f"bearer {self.token}",
            "apns-push-type": "voip",
            "apns-topic": f"{self.bundle_id}.voip",
            "apns-priority": "10",
            "apns-expiration": "0",  # now or never: a call that is over must not ring
        }
        body = json.dumps({"aps": {}, **data}).encode()
        return accepted(*await self.send(f"{self.url}/3/device/{device.token}", headers, body))
