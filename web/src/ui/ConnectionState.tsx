import type { Status } from "../session/machine";
import type { Engine } from "../sync/engine";
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

/** The state as it is shown in the list's head, and over a chat when it matters. */
export function ConnectionState({ engine, banner }: { engine: Engine; banner?: boolean }) {
  const status = useValue(engine.status);
  const waiting = status.phase === "waiting";
  const now = useNow(waiting ? 500 : 0);
  const word = stateWord(status);
  if (banner && word !== "Offline") return null;
  const seconds = Math.max(1, Math.ceil(((status.retryAt ?? 0) - now) / 1000));
  return (
    <div class={`${banner ? "banner" : "state"} state-${word.toLowerCase()}`} data-state={word.toLowerCase()} title={status.problem?.text}>
      <span class="state-dot" aria-hidden="true" />
      <span>
        {word}
        {waiting && <span class="state-wait">, trying again in {seconds} s</span>}
        {(word === "Connecting" || word === "Updating") && "…"}
      </span>
      {waiting && (
        <button class="link" type="button" onClick={() => engine.retryNow()}>
          Retry now
        </button>
      )}
    </div>
  );
}
