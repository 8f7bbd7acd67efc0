"""The Python package `openai`. usage: with_openai.py TOLD.json"""

import asyncio
import json
import sys

import openai

from checks import check, equal, run_all
from told import Paint, Shape, Told, data_url

MUST_CALL = {"tool_choice": "required", "parallel_tool_calls": False}


@check
def models(told):
    """models: the list, and one by its name"""
    equal(told.client.models.retrieve(told.model).id, told.model)


@check
def chat(told):
    """chat: text, one picture, two pictures; the answers, tokens and pictures' sizes of qvl run"""
    for name in ("text", "picture", "pair"):
        completion, right = told.ask(name), told.right(name)
        equal(completion.choices[0].message.content, right["text"])
        equal(completion.choices[0].finish_reason, right["finish_reason"])
        equal(completion.usage.prompt_tokens, right["usage"]["prompt_tokens"])
        equal(completion.usage.completion_tokens, right["usage"]["completion_tokens"])
        equal(completion.usage.model_extra["qvl"]["images"], right["images"])


@check
def remote_picture(told):
    """chat: a picture by its address; none from an address that is not permitted"""

    def ask(url):
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": told.told["picture"]["prompt"]},
        ]
        messages = [{"role": "user", "content": content}]
        return told.client.chat.completions.create(model=told.model, messages=messages, temperature=0)

    address = f"{told.told['web']}/figures.png"
    equal(ask(address).choices[0].message.content, told.right("picture")["text"])
    try:
        ask(address.replace("127.0.0.1", "127.0.0.2"))
        raise AssertionError("a private address was asked")
    except openai.BadRequestError as error:
        if "no public address" not in error.message:
            raise


@check
def streaming(told):
    """chat, streaming: the same text in pieces, and the usage at the end"""
    for name in ("text", "picture"):
        chunks = list(told.ask(name, stream=True, stream_options={"include_usage": True}))
        right = told.right(name)
        equal("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), right["text"])
        equal(chunks[0].choices[0].delta.role, "assistant")
        equal([c.choices[0].finish_reason for c in chunks if c.choices][-1], right["finish_reason"])
        equal(chunks[-1].usage.completion_tokens, right["usage"]["completion_tokens"])
        equal(len({c.id for c in chunks}), 1)


@check
def leaving(told):
    """chat, streaming: after a client that leaves the next one is answered"""
    stream = told.ask("picture", stream=True, n=4)
    next(iter(stream))
    stream.close()
    equal(told.ask("text").choices[0].message.content, told.right("text")["text"])


@check
def choices(told):
    """chat: n choices with a seed are the same again"""
    options = {"n": 3, "seed": 7, "temperature": 1.5, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": 0.1}
    first, second = (told.ask("picture", **options) for _ in range(2))
    equal([c.index for c in first.choices], [0, 1, 2])
    equal([c.message.content for c in first.choices], [c.message.content for c in second.choices])


@check
def stop_and_length(told):
    """chat: stop texts and max_completion_tokens end the answer"""
    text = told.right("picture")["text"]
    stopped = told.ask("picture", stop=[" green", "never"]).choices[0]
    equal((stopped.message.content, stopped.finish_reason), (text.split(" green")[0], "stop"))
    short = told.ask("picture", max_completion_tokens=2)
    equal((short.choices[0].finish_reason, short.usage.completion_tokens), ("length", 2))


@check
def logprobs(told):
    """chat: logprobs spell the answer, the most likely token first; logit_bias forbids one"""
    completion = told.ask("picture", logprobs=True, top_logprobs=3)
    content = completion.choices[0].logprobs.content
    text = b"".join(bytes(token.bytes) for token in content).decode()
    if not text.startswith(told.right("picture")["text"]):
        raise AssertionError(text)
    for token in content:
        equal(len(token.top_logprobs), 3)
        equal((token.token, token.logprob), (token.top_logprobs[0].token, token.top_logprobs[0].logprob))
        if not token.logprob <= 0 or token.logprob < token.top_logprobs[1].logprob:
            raise AssertionError(token)
    banned = told.right("picture")["token_ids"][1]
    other = told.ask("picture", logit_bias={str(banned): -100}).choices[0].message.content
    if other == told.right("picture")["text"]:
        raise AssertionError(other)


@check
def parsed(told):
    """chat.completions.parse: a pydantic model, from a strict schema"""
    completion = told.client.chat.completions.parse(**told.request("picture"), response_format=Shape)
    if not isinstance(completion.choices[0].message.parsed, Shape):
        raise AssertionError(completion)


@check
def json_object(told):
    """chat: response_format json_object gives an object, or its beginning"""
    choice = told.ask("picture", response_format={"type": "json_object"}, max_tokens=200).choices[0]
    if choice.finish_reason == "stop":
        equal(type(json.loads(choice.message.content)), dict)
    else:
        equal(choice.message.content.lstrip()[:1], "{")


@check
def tools(told):
    """chat: a function is called with arguments of its schema, and its result is understood"""
    tool = openai.pydantic_function_tool(Paint, name="paint", description="Paints a wall.")
    request = told.request("text", tools=[tool], tool_choice={"type": "function", "function": {"name": "paint"}})
    completion = told.client.chat.completions.parse(**request)
    call = completion.choices[0].message.tool_calls[0]
    equal((call.function.name, type(call.function.parsed_arguments)), ("paint", Paint))
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"done": true}'}
    messages = [*told.messages("text"), completion.choices[0].message, result]
    after = told.client.chat.completions.create(model=told.model, messages=messages, tools=[tool], max_tokens=20)
    equal(after.choices[0].message.role, "assistant")


@check
def streamed_tools(told):
    """chat.completions.stream: a required call arrives in pieces that make a whole"""
    tool = openai.pydantic_function_tool(Paint, name="paint")
    request = told.request("text", tools=[tool], **MUST_CALL)
    with told.client.chat.completions.stream(**request) as stream:
        completion = stream.get_final_completion()
    (call,) = completion.choices[0].message.tool_calls
    equal((completion.choices[0].finish_reason, call.function.name), ("tool_calls", "paint"))
    Paint.model_validate_json(call.function.arguments)


@check
def own_fields(told):
    """chat: mm_processor_kwargs, chat_template_kwargs, top_k, min_p and repetition_penalty are taken"""
    extra = {
        "mm_processor_kwargs": {"max_pixels": 96 * 96},
        "chat_template_kwargs": {"enable_thinking": False},
        "top_k": 1,
        "min_p": 0.1,
        "repetition_penalty": 1.0,
    }
    (image,) = told.ask("picture", extra_body=extra).usage.model_extra["qvl"]["images"]
    if image["width"] * image["height"] > 96 * 96:
        raise AssertionError(image)


@check
def legacy_completions(told):
    """completions: text goes on, whole and streamed"""
    request = {"model": told.model, "prompt": "A red circle and a", "max_tokens": 4, "temperature": 0}
    whole = told.client.completions.create(**request)
    pieces = told.client.completions.create(**request, stream=True)
    equal("".join(chunk.choices[0].text for chunk in pieces if chunk.choices), whole.choices[0].text)
    equal(whole.usage.completion_tokens <= 4, True)


def response_input(told, name):
    pictures = [
        {"type": "input_image", "image_url": data_url(path), "detail": "auto"} for path in told.told[name]["pictures"]
    ]
    return [{"role": "user", "content": [*pictures, {"type": "input_text", "text": told.told[name]["prompt"]}]}]


@check
def responses(told):
    """responses: text and pictures, whole and streamed"""
    plain = told.client.responses.create(model=told.model, input=told.told["text"]["prompt"], temperature=0)
    equal(plain.output_text, told.right("text")["text"])
    request = {"model": told.model, "input": response_input(told, "picture"), "temperature": 0}
    right = told.right("picture")
    whole = told.client.responses.create(**request)
    equal((whole.status, whole.output_text), ("completed", right["text"]))
    equal(whole.usage.output_tokens, right["usage"]["completion_tokens"])
    with told.client.responses.stream(**request) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        equal(stream.get_final_response().output_text, right["text"])
    equal("".join(pieces), right["text"])


@check
def parsed_responses(told):
    """responses.parse: a pydantic model; and a function call"""
    request = {"model": told.model, "input": response_input(told, "picture"), "temperature": 0}
    equal(type(told.client.responses.parse(**request, text_format=Shape).output_parsed), Shape)
    tool = openai.pydantic_function_tool(Paint, name="paint")["function"]
    called = told.client.responses.create(**request, tools=[{"type": "function", **tool}], **MUST_CALL)
    (call,) = [item for item in called.output if item.type == "function_call"]
    Paint.model_validate_json(call.arguments)


@check
def errors(told):
    """errors: a wrong key, a wrong value and an unknown field are the client's own exceptions"""
    try:
        openai.OpenAI(**{**told.address, "api_key": "wrong"}).models.list()
        raise AssertionError("a wrong key was taken")
    except openai.AuthenticationError as error:
        equal(error.code, "invalid_api_key")
    for field, options in {"temperature": {"temperature": -1}, "shape": {"extra_body": {"shape": 1}}}.items():
        try:
            told.ask("text", **options)
            raise AssertionError(f"{options} was taken")
        except openai.BadRequestError as error:
            equal(error.param, field)


@check
def many_at_once(told):
    """async: sixteen requests at once get the answers that each gets alone"""

    async def ask_all():
        async with openai.AsyncOpenAI(**told.address) as client:
            names = ["text", "picture", "pair", "picture"] * 4
            completions = [client.chat.completions.create(**told.request(name)) for name in names]
            for name, completion in zip(names, await asyncio.gather(*completions), strict=True):
                equal(completion.choices[0].message.content, told.right(name)["text"])

    asyncio.run(ask_all())


if __name__ == "__main__":
    run_all(Told(sys.argv[1]))
