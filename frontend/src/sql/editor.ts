// The editor: a textarea made comfortable. The textarea stays what the form sends.

import {
  acceptCompletion, autocompletion, closeBrackets, completionKeymap,
  type Completion, type CompletionContext, type CompletionResult,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { SQLDialect, sql } from "@codemirror/lang-sql";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

// One for all three: what a SELECT of any of them is made of. The editor only colours and completes by it.
const SELECTS = SQLDialect.define({
  keywords:
    "all and any array as asc at between by case cast collate cross current_date current_timestamp date desc distinct else " +
    "end escape except exists extract false fetch filter first following for from full group grouping having ilike in " +
    "inner intersect interval is join lateral left like limit map natural not null nulls offset on or order ordinality " +
    "outer over partition pivot preceding qualify range recursive right row rows sample select sets similar some then to " +
    "true try_cast unbounded union unnest using values when where window with within zone",
  types:
    "bigint blob boolean char date decimal double float hugeint integer json jsonb numeric real smallint text time " +
    "timestamp timestamptz tinyint uuid varchar",
  builtin: "",
  doubleDollarQuotedStrings: false,
  operatorChars: "+-*/<>=~!@#%^&|`?",
  hashComments: false,
});

const LOOK = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--paper)", border: "1px solid var(--control)", borderRadius: "6px", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", minHeight: "220px", maxHeight: "60vh" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--ground)", color: "var(--weak)", border: "none" },
  ".cm-activeLine": { backgroundColor: "var(--grid)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { backgroundColor: "var(--accent-ground)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--accent-ground)", outline: "1px solid var(--accent)" },
  ".cm-tooltip": { backgroundColor: "var(--paper)", color: "var(--ink)", border: "1px solid var(--control)", maxWidth: "min(560px, 90vw)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--mono)", fontSize: "12.5px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--paper)" },
  ".cm-completionDetail": { color: "inherit", fontStyle: "normal", marginLeft: "1em" },
  ".cm-completionInfo": { padding: "6px 10px" },
});

const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--line-3)" },
  { tag: tags.comment, color: "var(--weak)", fontStyle: "italic" },
  { tag: tags.typeName, color: "var(--line-6)" },
]);

interface Table {
  self: Completion;
  children: Completion[];
}

/** Tables and columns as the page lists them. */
function listed(): Record<string, Table> {
  const found: Record<string, Table> = {};
  for (const table of document.querySelectorAll<HTMLElement>("[data-table]")) {
    const children = [...table.querySelectorAll<HTMLElement>("[data-column]")].map((column) => ({
      label: column.dataset.column ?? "",
      detail: column.dataset.type ?? "",
      info: column.querySelector("dd")?.textContent ?? "",
      type: "property",
    }));
    const name = table.dataset.table ?? "";
    const info = table.querySelector("summary small")?.textContent ?? "";
    found[name] = { self: { label: name, type: "type", info }, children };
  }
  return found;
}

/** Columns, without a table before them, of the tables that the query names anywhere. */
function columnsOf(tables: Record<string, Table>): (context: CompletionContext) => CompletionResult | null {
  return (context) => {
    const word = context.matchBefore(/\w+/);
    if ((!word && !context.explicit) || context.matchBefore(/\.\w*/)) return null;
    const named = new Set(context.state.doc.toString().match(/\w+/g));
    const options = new Map<string, Completion>();
    for (const [name, { children }] of Object.entries(tables)) {
      if (named.has(name)) for (const column of children) options.set(column.label, column);
    }
    return options.size ? { from: word?.from ?? context.pos, options: [...options.values()], validFor: /^\w*$/ } : null;
  };
}

/** Typing over coloured text: the browser itself would keep its colours by a style that the server's policy forbids. */
function replaceSelected(event: InputEvent, view: EditorView): boolean {
  if (event.inputType !== "insertText" || !event.data || view.composing || view.state.selection.main.empty) return false;
  event.preventDefault();
  view.dispatch(view.state.replaceSelection(event.data), { userEvent: "input.type" });
  return true;
}

export interface Editor {
  /** Put the cursor there; both count from 1. */
  mark(line: number, column: number): void;
  insert(text: string): void;
  focus(): void;
}

/** Put an editor in the place of the textarea. */
export function startEditor(area: HTMLTextAreaElement, run: () => void, changed: () => void): Editor {
  const tables = listed();
  // In a shadow root its styles are a sheet of the script's, which the server's policy lets through.
  const host = document.createElement("div");
  host.className = "sql-editor";
  area.before(host);
  const root = host.attachShadow({ mode: "open" });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => (run(), true) }, { key: "Tab", run: acceptCompletion }])),
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false }),
        syntaxHighlighting(COLOURS),
        sql({ dialect: SELECTS, schema: tables, upperCaseKeywords: true }),
        SELECTS.language.data.of({ autocomplete: columnsOf(tables) }),
        EditorView.domEventHandlers({ beforeinput: replaceSelected }),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Query" }),
        keymap.of([...completionKeymap, ...historyKeymap, ...defaultKeymap, indentWithTab]),
        LOOK,
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          area.value = view.state.doc.toString();
          changed();
        }),
      ],
    }),
  });
  area.hidden = true;
  return {
    mark: (line, column) => {
      const { lines } = view.state.doc;
      if (line > lines) return;
      const at = view.state.doc.line(line);
      view.dispatch({ selection: { anchor: Math.min(at.to, at.from + column - 1) }, scrollIntoView: true });
      view.focus();
    },
    insert: (text) => {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    focus: () => view.focus(),
  };
}
