import { useEffect, useRef, useState } from "preact/hooks";
import type { Engine } from "../sync/engine";
import { LIMITS } from "../wire.gen";
import { utf8, validID } from "../wire/bytes";
import { CloseIcon } from "./icons";

interface Props {
  engine: Engine;
  done(chatId: string): void;
  close(): void;
}

/** Starts a conversation: with one name a direct chat, with a group's name a group. */
export function NewChat({ engine, done, close }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [group, setGroup] = useState(false);
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="newchat-title" onClose={close} onClick={(e) => e.target === dialog.current && close()}>
      <div class="dialog-head">
        <h2 id="newchat-title">New conversation</h2>
        <button class="round" type="button" aria-label="Close" onClick={close}>
          <CloseIcon />
        </button>
      </div>
      <div class="segments" role="group" aria-label="Kind of conversation">
        <button type="button" aria-pressed={!group} onClick={() => setGroup(false)}>
          Person
        </button>
        <button type="button" aria-pressed={group} onClick={() => setGroup(true)}>
          Group
        </button>
      </div>
      {group ? <GroupForm engine={engine} done={done} /> : <PersonForm engine={engine} done={done} />}
    </dialog>
  );
}

type FormProps = Omit<Props, "close">;

function PersonForm({ engine, done }: FormProps) {
  const [wrong, setWrong] = useState("");
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    const user = textOf(e, "user");
    if (user === engine.db.user) setWrong("That is you. Choose somebody else.");
    else if (!validID(user, LIMITS.id)) setWrong("Type the name of a user.");
    else done(await engine.chatWith(user));
  };
  return (
    <form onSubmit={submit} noValidate>
      <Input label="User name" name="user" placeholder="bob" focus />
      <Wrong text={wrong} />
      <button class="button" type="submit">
        Open chat
      </button>
    </form>
  );
}

function GroupForm({ engine, done }: FormProps) {
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    const name = textOf(e, "name");
    const members = membersOf(textOf(e, "members"));
    const odd = members.find((m) => !validID(m, LIMITS.id));
    if (!name || utf8(name).length > LIMITS.name) return setWrong("Give the group a name.");
    if (members.length === 0) return setWrong("Name at least one member.");
    if (odd) return setWrong(`"${odd}" is not a user name.`);
    setBusy(true);
    try {
      done(await engine.createGroup(name, members));
    } catch (err) {
      setWrong((err as Error).message);
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit} noValidate>
      <Input label="Name of the group" name="name" placeholder="Weekend" focus />
      <Input label="Members, separated by spaces or commas" name="members" placeholder="bob carol" />
      <Wrong text={wrong} />
      <button class="button" type="submit" disabled={busy}>
        Create group
      </button>
    </form>
  );
}

/** User names may hold spaces; then commas stand between them. */
function membersOf(text: string): string[] {
  const parts = /[,;]/.test(text) ? text.split(/[,;]/) : text.split(/\s/);
  return parts.map((p) => p.trim()).filter(Boolean);
}

function textOf(e: SubmitEvent, name: string): string {
  return String(new FormData(e.currentTarget as HTMLFormElement).get(name) ?? "").trim();
}

function Input({ label, name, placeholder, focus }: { label: string; name: string; placeholder: string; focus?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus) input.current?.focus();
  }, []);
  return (
    <p class="field">
      <label for={`new-${name}`}>{label}</label>
      <input ref={input} autofocus={focus} id={`new-${name}`} name={name} placeholder={placeholder} autocomplete="off" autocapitalize="none" spellcheck={false} />
    </p>
  );
}

function Wrong({ text }: { text: string }) {
  return text ? (
    <p class="field-wrong" role="alert">
      {text}
    </p>
  ) : null;
}
