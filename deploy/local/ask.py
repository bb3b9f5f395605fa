"""Ask a process of this machine what it says over HTTP, whatever status it answers with."""

from http.client import HTTPConnection, HTTPException

from deploy.local.ports import LOOPBACK


def ask(port: int, path: str, seconds: float) -> tuple[int, str] | None:
    """Answer status and text of what it says under ``path``; None when it does not answer within ``seconds``."""
    connection = HTTPConnection(LOOPBACK, port, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
