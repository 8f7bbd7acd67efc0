"""What check_clients.py tells, with a client of OpenAI's API for it, and the schemas that are asked for."""

import base64
import json
from typing import Literal

import openai
from pydantic import BaseModel


class Shape(BaseModel):
    colour: Literal["red", "green", "blue"]
    kind: Literal["circle", "star", "square"]
    filled: bool


class Paint(BaseModel):
    colour: Literal["red", "green", "blue"]


class Told:
    """What check_clients.py says, and a client for it."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.told = json.load(file)
        self.address = {"base_url": f"{self.told['url']}/v1", "api_key": self.told["key"], "max_retries": 0}
        self.client = openai.OpenAI(**self.address)
        self.model = self.client.models.list().data[0].id

    def right(self, name):
        return self.told[name]["answer"]

    def messages(self, name):
        pictures = [{"type": "image_url", "image_url": {"url": data_url(path)}} for path in self.told[name]["pictures"]]
        return [{"role": "user", "content": [*pictures, {"type": "text", "text": self.told[name]["prompt"]}]}]

    def ask(self, name, **options):
        return self.client.chat.completions.create(**self.request(name, **options))

    def request(self, name, **options):
        return {"model": self.model, "messages": self.messages(name), "temperature": 0, **options}


def data_url(path):
    with open(path, "rb") as file:
        return f"data:image/png;base64,{base64.b64encode(file.read()).decode()}"
