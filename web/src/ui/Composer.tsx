import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Engine } from "../sync/engine";
import { bytesOf, lengthNote } from "./format";
import { SendIcon } from "./icons";

/** What was typed and not sent, by conversation, for as long as the tab lives. */
const drafts = new Map<string, string>();
const MOST_PX = 160;

interface Props {
  engine: Engine;
  chatId: string;
  /** Names the draft: it stays the same when the conversation gets its id. */
  place: string;
  title: string;
}

export function Composer({ engine, chatId, place, title }: Props) {
  const key = `${engine.db.user}\n${place}`;
  const [text, setText] = useState(drafts.get(key) ?? "");
  const area = useRef<HTMLTextAreaElement>(null);
  const touch = matchMedia("(pointer: coarse)").matches;

  useLayoutEffect(() => {
    const el = area.current!;
    el.style.height = "auto";
    el.style.height = `${Math.min(el.scrollHeight, MOST_PX)}px`;
  }, [text]);
  useLayoutEffect(() => {
    // On a phone the keyboard would cover what one came to read.
    if (!touch) area.current!.focus();
  }, []);

  const change = (value: string) => {
    setText(value);
    drafts.set(key, value);
    if (value.trim()) engine.typing.wrote(chatId);
    else engine.typing.ceased(chatId, false);
  };
  const note = lengthNote(bytesOf(text.trim()), engine.mostContent);
  const send = () => {
    const words = text.trim();
    area.current!.focus();
    if (!words || note?.over) return; // what is too long stays to be shortened
    setText("");
    drafts.delete(key);
    void engine.send(chatId, words);
  };
  return (
    <form
      class="composer"
      onSubmit={(e) => {
        e.preventDefault();
        send();
      }}
    >
      <label class="composer-field">
        <span class="unseen">Message to {title}</span>
        <textarea
          ref={area}
          rows={1}
          value={text}
          placeholder="Message"
          enterkeyhint="send"
          dir="auto"
          onInput={(e) => change(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== "Enter" || e.shiftKey || e.isComposing) return;
            e.preventDefault();
            send();
          }}
        />
        {note && (
          <span class={note.over ? "composer-note over" : "composer-note"} role="status">
            {note.text}
          </span>
        )}
      </label>
      <button class="round send" type="submit" aria-label="Send" disabled={!text.trim() || note?.over}>
        <SendIcon />
      </button>
    </form>
  );
}
