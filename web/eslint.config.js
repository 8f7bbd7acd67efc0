import js from "@eslint/js";
import globals from "globals";

const rules = {
  curly: "error",
  eqeqeq: "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-param-reassign": "error",
  "no-shadow": "error",
  "no-var": "error",
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-template": "error",
};

// Text from the model must never become markup, nor a style attribute, which the page's policy forbids.
const pageRules = {
  "no-restricted-properties": [
    "error",
    ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "cssText"].map((property) => ({
      property,
      message: "Make nodes (js/dom.js).",
    })),
  ],
};

export default [
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: "error" }, rules },
  { files: ["page/**/*.js"], languageOptions: { globals: globals.browser }, rules: pageRules },
  { files: ["test/**/*.js", "*.js"], languageOptions: { globals: globals.node } },
  // What these hand to the page runs in it.
  { files: ["test/browser/**/*.js"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
];
