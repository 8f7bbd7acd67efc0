#!/usr/bin/env python3
"""Stock onnxruntime-genai and stock transformers.js give the answers that qvl gives.

usage: check_elsewhere.py CHECKPOINT QUESTIONS QVL TRANSFORMERS_JS WORK

CHECKPOINT is exported in every precision, as a package for onnxruntime-genai and in the layout of transformers.js, and ten
of QUESTIONS, the held-out ones, are put to qvl and to both; the greedy tokens must be equal. Tokens, pictures and positions
are each runtime's own work, with transformers.js the chat template too.

TRANSFORMERS_JS is a folder with transformers_js/ask.mjs in which `npm ci` has run; exports and pictures go to WORK. Needs
node, and of Python only requirements-light.txt.
"""

import json
import os
import subprocess
import sys

import onnxruntime_genai as og

import ten_questions
from check_genai import own_pipeline
from package_tools import qvl_run
from report import Report

PRECISIONS = ("fp32", "fp16", "int8", "int4")
NEW_TOKENS = 96


def export(binary, checkpoint, precision, layout, folder):
    output = os.path.join(folder, f"{layout}-{precision}")
    command = [binary, "export", checkpoint, "-o", output, "--precision", precision, "--layout", layout, "--force"]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return output


def of_qvl(binary, package, question):
    answer = qvl_run(binary, package, question["prompt"], [question["image"]], NEW_TOKENS, ignore_eos=False, engine="auto")
    return answer["prompt_token_ids"], answer["token_ids"]


def of_genai(package, questions):
    model = og.Model(package)
    answers = [own_pipeline(model, question["prompt"], [question["image"]], NEW_TOKENS) for question in questions]
    return zip(*answers)


def of_transformers_js(folder, export, questions_file):
    command = ["node", os.path.join(folder, "ask.mjs"), export, questions_file, str(NEW_TOKENS)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [answer["prompt_token_ids"] for answer in answers], [answer["token_ids"] for answer in answers]


def compare(report, what, questions, expected, found):
    """One line, and below it the questions that differ."""
    pairs = zip(questions, expected, found, strict=True)
    differences = [f"{question['id']}: {its}, not {ours}" for question, ours, its in pairs if its != ours]
    report.check(what, not differences, f"{sum(map(len, expected))} tokens of {len(questions)} questions")
    for difference in differences:
        print(f"     {difference}")


def without_end(answers, end_tokens):
    """Whether the end-of-sequence token is part of an answer is each runtime's choice."""
    return [tokens[:-1] if tokens and tokens[-1] in end_tokens else tokens for tokens in answers]


def end_tokens_of(checkpoint):
    with open(os.path.join(checkpoint, "generation_config.json"), encoding="utf-8") as file:
        eos = json.load(file)["eos_token_id"]
    return set(eos if isinstance(eos, list) else [eos])


def main():
    checkpoint, questions_file, binary, transformers_js, work = sys.argv[1:]
    report = Report()
    questions = ten_questions.prepare(questions_file, checkpoint, os.path.join(work, "pictures"))
    prepared = os.path.join(work, "questions.jsonl")
    with open(prepared, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(question) + "\n" for question in questions)
    end_tokens = end_tokens_of(checkpoint)
    for precision in PRECISIONS:
        package = export(binary, checkpoint, precision, "package", work)
        prompts, answers = zip(*(of_qvl(binary, package, question) for question in questions))
        answers = without_end(answers, end_tokens)
        report.check(f"{precision}: qvl's answers are not all the same", len(set(map(tuple, answers))) > 1)
        its_prompts, found = of_genai(package, questions)
        compare(report, f"{precision}: prompt tokens, onnxruntime-genai", questions, prompts, its_prompts)
        compare(report, f"{precision}: greedy tokens, onnxruntime-genai", questions, answers, without_end(found, end_tokens))
        folder = export(binary, checkpoint, precision, "transformers.js", work)
        its_prompts, found = of_transformers_js(transformers_js, folder, prepared)
        compare(report, f"{precision}: prompt tokens, transformers.js", questions, prompts, its_prompts)
        compare(report, f"{precision}: greedy tokens, transformers.js", questions, answers, without_end(found, end_tokens))
    report.finish()


if __name__ == "__main__":
    main()
