// Tells screen readers what others see at a glance: new messages, own ones that
// were refused and the state of the connection, each in a live region of its own.

import { useEffect, useState } from "preact/hooks";
import type { Engine } from "../sync/engine";
import { stateWord } from "./ConnectionState";
import { kindName } from "./format";
import { useValue } from "./hooks";

/** A network that flickers is not worth a word. */
const SETTLE_MS = 800;
const MOST_CHARS = 200;

export function Announcer({ engine }: { engine: Engine }) {
  const message = useValue(engine.arrived);
  const refusal = useValue(engine.refusals);
  const word = stateWord(useValue(engine.status));
  const [state, setState] = useState("");
  useEffect(() => {
    const t = setTimeout(() => setState(word), SETTLE_MS);
    return () => clearTimeout(t);
  }, [word]);
  return (
    <div class="unseen">
      <p role="status" aria-live="polite" data-live="state">
        {state && `Connection: ${state}`}
      </p>
      <p aria-live="assertive" data-live="refusals">
        {refusal}
      </p>
      <p aria-live="polite" data-live="messages">
        {message && `${message.sender}: ${message.text.slice(0, MOST_CHARS) || kindName(message.kind)}`}
      </p>
    </div>
  );
}
