"""What no log may show: a person's number and the account's credentials."""

import base64
import re

from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN

NUMBER = "919380013443"
BASIC = base64.b64encode(f"{SANDBOX_AUTH_ID}:{SANDBOX_AUTH_TOKEN}".encode()).decode()


def assert_discreet(log: str) -> None:
    assert NUMBER not in re.sub(r"[ ()-]", "", log)
    assert SANDBOX_AUTH_TOKEN not in log
    assert BASIC not in log
