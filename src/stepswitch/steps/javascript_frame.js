// What stands around a user's script inside its own, fresh JavaScript context. Evaluated by `javascript_child`, once per script.
//
// Its value is a function of one argument: with a request (JSON text) it starts the script and returns the answer as JSON text, or ""
// while a promise that the script returned is pending; without one it returns the answer after the pending jobs have run.
//
// The script may change every built-in. So whatever is needed after it has started is taken before, no method or iterator is looked up
// on a prototype, and the frame's own words are put together from primitive values only. Text leaves as JSON: the binding cuts strings at
// NUL and cannot carry lone surrogates, and JSON escapes both. Functions called `stepswitch$…` are left out of
// the stacks that people see.
(function () {
  "use strict";
  const emit = globalThis.stepswitch$emit;
  delete globalThis.stepswitch$emit;

  const evaluate = eval;
  const { parse, stringify } = JSON;
  const { apply } = Reflect;
  const { keys: keysOf, setPrototypeOf } = Object;
  const { isArray } = Array;
  const { isFinite } = Number;
  const toText = String;
  const NativeError = Error;
  const NativeSyntaxError = SyntaxError;
  const NativePromise = Promise;
  const hasInstance = Function.prototype[Symbol.hasInstance];
  const sliceOf = String.prototype.slice;
  const codeAt = String.prototype.charCodeAt;
  const sourceOf = Function.prototype.toString;
  const thenOf = Promise.prototype.then;
  const FUNCTION_HEAD = "(function (".length;
  const MAX_KEYS = 1000;
  const MAX_KEY_LENGTH = 1000;
  const MAX_MESSAGE = 8192;
  const LINE_COST = 64; // so that empty lines, too, come to an end
  let outputLimit = 0;
  let logLeft = 0;
  let cutMark = ""; // keeps what masks secrets from leaving half of one
  let begun = false;
  let settled = "";
  let value;

  const isA = (what, kind) => apply(hasInstance, kind, [what]);
  const flat = (words) => apply(sliceOf, words, [0]); // the binding cannot carry a string that is still a rope of parts
  const cut = (words, length) => {
    if (words.length <= length) return words;
    const last = apply(codeAt, words, [length - 1]);
    return apply(sliceOf, words, [0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length]); // no half of a pair
  };
  const shortened = (words, length) => (words.length > length ? cut(words, length) + cutMark : words);

  // --- the answer -----------------------------------------------------------------------------------------------------------------

  function failure(kind, message, stack) {
    return '{"error":"' + kind + '","message":' + stringify(shortened(message, MAX_MESSAGE)) + ',"stack":' + stringify(shortened(stack, MAX_MESSAGE)) + "}";
  }

  function stepswitch$describe(thrown) {
    // Reading a thrown value can throw again: it may be a proxy, or have a getter.
    try {
      if (isA(thrown, NativeError)) {
        const stack = thrown.stack;
        return { message: toText(thrown), stack: typeof stack === "string" ? stack : "" };
      }
      return { message: "the script threw " + stepswitch$show(thrown), stack: "" };
    } catch {
      return { message: "the script threw a value that cannot be shown", stack: "" };
    }
  }

  function stepswitch$failureOf(kind, thrown, prefix) {
    if (thrown === null) kind = "null"; // what the engine throws where not even an error fits into the memory
    const { message, stack } = stepswitch$describe(thrown);
    const exhausted = message === "InternalError: out of memory" || message === "InternalError: string too long";
    return failure(exhausted ? "memory" : kind, exhausted ? message : prefix + message, stack);
  }

  function misfit(message) {
    return failure("result", message, "");
  }

  // Returns a primitive that is an output, undefined for none; throws what the value's own code throws, or a string that says why not.
  function stepswitch$toOutput(what) {
    switch (typeof what) {
      case "string":
      case "boolean":
      case "undefined":
        return what;
      case "number":
        if (!isFinite(what)) throw "is " + toText(what) + ", which is no value of a workflow";
        return what;
      case "bigint":
        return toText(what);
      case "function":
      case "symbol":
        throw "is a " + typeof what + ", which is no value of a workflow";
    }
    const json = stringify(what);
    if (json === undefined) return undefined;
    if (json[0] === "{" || json[0] === "[") return json;
    const plain = parse(json); // a Date is its text, a boxed number the number
    return plain === null ? undefined : plain;
  }

  function stepswitch$convert(result) {
    if (result === undefined || result === null) return '{"outputs":{},"cut":[]}';
    if (typeof result !== "object" || isArray(result)) {
      return misfit("the script must return an object or nothing, and returned " + (isArray(result) ? "an array" : "a " + typeof result));
    }
    const names = keysOf(result);
    if (names.length > MAX_KEYS) return misfit("the object that the script returned has more than " + MAX_KEYS + " keys");
    let outputs = "";
    let shortened = "";
    for (let index = 0; index < names.length; index++) {
      const name = names[index];
      if (name.length > MAX_KEY_LENGTH) return misfit("a key of the object that the script returned is longer than " + MAX_KEY_LENGTH + " characters");
      let output;
      try {
        output = stepswitch$toOutput(result[name]);
      } catch (thrown) {
        const key = "the key " + stringify(name) + " of the object that the script returned ";
        if (typeof thrown === "string") return misfit(key + thrown);
        return stepswitch$failureOf("result", thrown, key + "cannot be read: ");
      }
      if (output === undefined) continue;
      if (typeof output === "string" && output.length > outputLimit) {
        output = cut(output, outputLimit);
        shortened += (shortened && ",") + stringify(name);
      }
      outputs += (outputs && ",") + stringify(name) + ":" + stringify(output);
    }
    return '{"outputs":{' + outputs + '},"cut":[' + shortened + "]}";
  }

  function stepswitch$answer(result) {
    try {
      return stepswitch$convert(result);
    } catch (thrown) {
      return stepswitch$failureOf("result", thrown, "the object that the script returned cannot be read: ");
    }
  }

  // --- console --------------------------------------------------------------------------------------------------------------------

  function stepswitch$show(what) {
    if (typeof what === "string") return what;
    if (typeof what === "function") return "[function]";
    if (typeof what !== "object" || what === null) return toText(what);
    try {
      if (isA(what, NativeError)) return toText(what) + "\n" + toText(what.stack);
      const json = stringify(what);
      return json === undefined ? toText(what) : json;
    } catch {
      return "[object that cannot be shown]";
    }
  }

  function logger(level) {
    return function stepswitch$log(...words) {
      if (logLeft <= 0) return;
      let line = "";
      for (let index = 0; index < words.length && line.length <= logLeft; index++) line += (index ? " " : "") + stepswitch$show(words[index]);
      const kept = shortened(line, logLeft);
      logLeft -= line.length + LINE_COST;
      emit(flat('["' + level + '",' + stringify(kept) + "]"));
      if (logLeft <= 0) emit('["WARN","the script\'s log has reached its limit: what follows is left out"]');
    };
  }

  const warn = logger("WARN");
  const info = logger("INFO");
  globalThis.console = { debug: logger("DEBUG"), log: info, info, warn, error: logger("ERROR") };

  // --- the script -----------------------------------------------------------------------------------------------------------------

  function stepswitch$compile(source) {
    let script;
    try {
      script = evaluate(source);
    } catch (thrown) {
      throw stepswitch$failureOf(isA(thrown, NativeSyntaxError) ? "syntax" : "failed", thrown, "");
    }
    // A script such as `}), (function () {` would compile as something else than the body of one function.
    if (typeof script !== "function" || "(" + apply(sourceOf, script, []) + ")" !== source) {
      throw failure("syntax", "SyntaxError: the script closes a bracket that it has not opened", stepswitch$strayBracket(source));
    }
    return script;
  }

  function stepswitch$strayBracket(source) {
    // Returns the stack of an error at that bracket: what goes on well behind a function does not behind a method. The new head is as long.
    try {
      evaluate("(class {m (" + apply(sliceOf, source, [FUNCTION_HEAD, -1]) + "})");
      return "";
    } catch (thrown) {
      return stepswitch$describe(thrown).stack;
    }
  }

  function stepswitch$call(script, values) {
    try {
      value = apply(script, undefined, values);
    } catch (thrown) {
      return stepswitch$failureOf("failed", thrown, "");
    }
    try {
      if (!isA(value, NativePromise)) return stepswitch$answer(value);
      apply(thenOf, value, [
        (result) => { settled = "fulfilled"; value = result; },
        (reason) => { settled = "rejected"; value = reason; },
      ]);
      return "";
    } catch {
      return stepswitch$answer(value); // it only looked like a promise
    }
  }

  function stepswitch$start(json) {
    // A script can get at this function through Error.prepareStackTrace, and must not set its own limits.
    if (begun) return "";
    begun = true;
    const request = parse(json);
    outputLimit = request.outputLimit;
    logLeft = request.logLimit;
    cutMark = request.cutMark;
    const inputs = setPrototypeOf(request.inputs, null);
    const values = [];
    for (let index = 0; index < request.names.length; index++) values[index] = inputs[request.names[index]];
    values[values.length] = inputs;
    let script;
    try {
      script = stepswitch$compile(request.source);
    } catch (fault) {
      return fault;
    }
    return stepswitch$call(script, values);
  }

  function stepswitch$finish() {
    if (settled === "fulfilled") return stepswitch$answer(value);
    if (settled === "rejected") return stepswitch$failureOf("failed", value, "");
    return misfit("the script returned a promise that nothing settles");
  }

  return function stepswitch$frame(json) {
    return flat(json === undefined ? stepswitch$finish() : stepswitch$start(json));
  };
})();
