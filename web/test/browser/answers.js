// Answers that more than one test wants.

export const MARKDOWN = `# Findings

**Three** *shapes*, \`code\`, grün ★ 🟢, [docs](https://example.org/) and [not](javascript:alert(1)) <img src=x onerror=alert(1)>.

1. one
   - inner

| Shape | Area |
|:--|--:|
| circle | 0.1 |

\`\`\`python
print("a long line that does not fit into the width of a telephone, whichever way one holds it")
\`\`\`
`;

export const PLACES = `Here:

\`\`\`json
[
  {"bbox_2d": [100, 200, 300, 400], "label": "circle"},
  {"bbox_2d": [600, 0, 900, 500], "label": "square"},
  {"point_2d": [500, 750], "label": "star"}
]
\`\`\`

That is all.`;
