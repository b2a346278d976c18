/* The commands of the device's configuration, each with its arguments. */

import { $, put, tame } from "../page/text.js";
import { act, ask, field, fields, form, hint, input, rebuild, select, submit } from "./panel.js";
import { configured } from "./configuration.js";

const MAX_COMMANDS = 32, MAX_VALUES = 64, MAX_OUTPUT = 64 << 10;

/* Returns [name, {argument: values}] of each command. */
function commands() {
  const found = new Map();
  for (const [key, value] of configured("commands")) {
    const [name, what] = key.split(".").slice(1);
    if (!found.has(name)) found.set(name, {});
    if (what === "arguments" && value && typeof value === "object") found.set(name, value);
  }
  return [...found].slice(0, MAX_COMMANDS);
}

export function drawCommands(known) {
  const all = known ? commands() : null;
  rebuild($("commands"), all, () => {
    if (all === null) return [unlisted()];
    if (!all.length) return [hint("The device’s configuration has none.")];
    return all.map(([name, values]) => command(name, values));
  });
}

function command(name, values) {
  const run = submit(`Run ${tame(name, 32)}`);
  const choices = Object.entries(values).map(([argument, texts]) => {
    const list = Array.isArray(texts) ? texts.slice(0, MAX_VALUES).map(String) : [];
    return field(tame(argument, 32), select(argument, list.map((each) => [tame(each, 64), each])));
  });
  return form((given) => start(run, name, Object.fromEntries(given)), fields(tame(name, 32), ...choices, run));
}

/* Without the list an operator types name and arguments. */
function unlisted() {
  const run = submit("Run");
  return form((given) => {
    const pairs = given.get("arguments").split(/\s+/).filter(Boolean).map((each) => [each.split("=")[0], each.slice(each.indexOf("=") + 1)]);
    start(run, given.get("name").trim(), Object.fromEntries(pairs));
  }, hint("The list of commands is a part of the operation config, which this identity may not use."),
  field("Name", input("text", "name", { required: true })), field("Arguments", input("text", "arguments", { placeholder: "state=on" })), run);
}

function start(run, name, values) {
  $("commands-output").hidden = true;
  act("commands", run, async () => {
    const done = await ask("run", { name, arguments: values });
    const output = String(done.output ?? "").slice(0, MAX_OUTPUT).replace(/[^\P{C}\n\t]/gu, "?");
    put($("commands-output"), output);
    $("commands-output").hidden = !output;
    const code = Number(done.exit_code);
    const end = done.timed_out ? `killed after ${Number(done.took_s)} s` : code < 0 ? `ended by signal ${-code}` : `exit code ${code}`;
    const more = done.discarded_bytes ? `, ${Number(done.discarded_bytes)} more bytes of output were discarded` : "";
    if (done.timed_out || code) throw new Error(`${tame(name, 32)}: ${end}${more}`);
    return `${tame(name, 32)}: ${end} after ${Number(done.took_s)} s${more}`;
  });
}
