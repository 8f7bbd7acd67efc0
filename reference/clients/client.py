"""A client of `/v1/chat/completions` that needs nothing but Python's own library."""

import contextlib
import http.client
import json
import time
import urllib.parse


class Client:
    """One connection at a time to the server."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc

    @contextlib.contextmanager
    def _post(self, body):
        connection = http.client.HTTPConnection(self.address, timeout=300)
        try:
            connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            yield connection
        finally:
            connection.close()

    def whole(self, request):
        """The texts of all choices, and the tokens generated."""
        with self._post(json.dumps(request).encode()) as connection:
            response = connection.getresponse()
            answer = json.loads(response.read())
        if response.status != 200:
            raise ValueError(f"status {response.status}: {answer}")
        return [choice["message"]["content"] for choice in answer["choices"]], answer["usage"]["completion_tokens"]

    def streamed(self, request):
        """As `whole`, and the seconds until the first piece of text, None where there is none."""
        begin, first, tokens = time.monotonic(), None, 0
        texts = [""] * request.get("n", 1)
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        with self._post(json.dumps(body).encode()) as connection:
            for event in events(connection.getresponse()):
                for choice in event["choices"]:
                    text = choice["delta"].get("content") or ""
                    if text and first is None:
                        first = time.monotonic() - begin
                    texts[choice["index"]] += text
                tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
        return texts, tokens, first

    def leave(self, request, pieces):
        """Goes away after some pieces of the answer, or before there is one."""
        with self._post(json.dumps({**request, "stream": True}).encode()) as connection:
            if pieces:
                for _, _ in zip(range(pieces), events(connection.getresponse())):
                    pass

    def refused(self, body):
        with self._post(body) as connection:
            response = connection.getresponse()
            return response.status, json.loads(response.read()).get("error", {}).get("message", "")


def events(response):
    """The objects of a stream, which must end as it should."""
    if response.status != 200:
        raise ValueError(f"status {response.status}: {response.read()}")
    for line in response:
        if line.startswith(b"data: [DONE]"):
            return
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            if "error" in event:
                raise ValueError(f"in the stream: {event}")
            yield event
    raise ValueError("the stream ended without [DONE]")
