import type { Status } from "../session/machine";
import type { Engine } from "../sync/engine";
import { sentence } from "./format";
import { useNow, useValue } from "./hooks";

/** The state of the connection in one word, without the seconds. */
export function stateWord(s: Status): "Online" | "Updating" | "Connecting" | "Offline" {
  switch (s.phase) {
    case "live":
      return "Online";
    case "syncing":
      return "Updating";
    case "waiting":
    case "stopped":
      return "Offline";
  }
  return "Connecting";
}

/** The state in a word, for the head of the list. */
export function ConnectionState({ engine }: { engine: Engine }) {
  const status = useValue(engine.status);
  const word = stateWord(status);
  const busy = word === "Connecting" || word === "Updating";
  return (
    <div class={`state state-${word.toLowerCase()}`} data-state={word.toLowerCase()} title={status.problem?.text}>
      <span class="state-dot" aria-hidden="true" />
      {word}
      {busy && "…"}
    </div>
  );
}

/** What is the matter and what can be done, from the first failure until it works again. */
export function OfflineBanner({ engine }: { engine: Engine }) {
  const status = useValue(engine.status);
  const waiting = status.phase === "waiting";
  const now = useNow(waiting ? 500 : 0);
  if (!status.failures) return null;
  const seconds = Math.max(1, Math.ceil(((status.retryAt ?? 0) - now) / 1000));
  const why = status.problem?.text ?? (navigator.onLine ? "The server cannot be reached." : "There is no network.");
  return (
    <div class="banner">
      <span>{waiting ? `${sentence(why)} Trying again in ${seconds} s.` : "Connecting…"}</span>
      {waiting && (
        <button class="link" type="button" onClick={() => engine.retryNow()}>
          Retry now
        </button>
      )}
    </div>
  );
}
