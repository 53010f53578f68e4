import type { Reach } from "../db/queries";
import type { Engine } from "../sync/engine";
import { nameClass } from "./Avatar";
import { tickOf } from "./ChatList";
import { kindName } from "./format";
import type { Bubble } from "./items";
import { RichText } from "./RichText";
import { Stamp, Ticks } from "./Ticks";

interface Props {
  engine: Engine;
  b: Bubble;
  group: boolean;
  reach: Reach;
}

/** A few emoji and nothing else are shown large. */
const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\u200D\p{Extended_Pictographic}|\p{Emoji_Modifier})*\s*){1,3}$/u;

export function BubbleView({ engine, b, group, reach }: Props) {
  const own = b.sender === engine.db.user;
  const refused = b.outgoing?.failed;
  const classes = ["bubble", own ? "own" : "theirs", b.follows ? "follows" : "", b.leads ? "leads" : "", ONLY_EMOJI.test(b.text) ? "emoji" : ""];
  return (
    <li class={classes.filter(Boolean).join(" ")} data-key={b.key} {...(b.seq > 0 ? { "data-seq": b.seq } : {})}>
      <div class="bubble-box">
        {group && !own && !b.follows ? <p class={`bubble-sender ${nameClass(b.sender)}`} dir="auto" title={b.sender}>{b.sender}</p> : <span class="unseen">{own ? "You" : b.sender}: </span>}
        <span class="bubble-text">
          {b.text ? <RichText text={b.text} /> : <em>{kindName(b.kind)}</em>}
        </span>
        <span class="bubble-meta">
          <Stamp at={b.at} />
          {own && <Ticks state={refused !== undefined ? "failed" : b.outgoing ? "sending" : tickOf(b.seq, reach)} />}
        </span>
      </div>
      {refused !== undefined && <Refused engine={engine} b={b} why={refused} />}
    </li>
  );
}

/** Why a message was not sent, and what can be done about it. */
function Refused({ engine, b, why }: { engine: Engine; b: Bubble; why: string }) {
  // Both buttons go away with it; the keyboard stays among the messages.
  const then = (act: (id: string) => Promise<void>) => (e: MouseEvent) => {
    (e.currentTarget as HTMLElement).closest<HTMLElement>("[role=region]")?.focus({ preventScroll: true });
    void act.call(engine, b.key);
  };
  const which = <span class="unseen"> the message “{b.text.slice(0, 60)}”</span>;
  return (
    <p class="bubble-failed">
      <span>Not sent: {why}</span>
      <button class="link" type="button" onClick={then(engine.retry)}>
        Retry{which}
      </button>
      <button class="link" type="button" onClick={then(engine.discard)}>
        Delete{which}
      </button>
    </p>
  );
}
