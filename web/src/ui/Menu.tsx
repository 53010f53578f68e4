import { useEffect, useRef, useState } from "preact/hooks";
import { MoreIcon } from "./icons";

interface Props {
  dev: boolean;
  signOut(): void;
  switchUser(): void;
}

export function Menu({ dev, signOut, switchUser }: Props) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    box.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const outside = (e: Event) => !box.current?.contains(e.target as Node) && setOpen(false);
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
    };
  }, [open]);
  const keys = (e: KeyboardEvent) => {
    if (!open) return;
    const items = [...box.current!.querySelectorAll<HTMLElement>("[role=menuitem]")];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (e.key === "Escape") {
      e.stopPropagation();
      setOpen(false);
      box.current!.querySelector("button")!.focus();
    } else if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      items[(at + (e.key === "ArrowDown" ? 1 : items.length - 1)) % items.length]?.focus();
    }
  };
  return (
    <div class="menu" ref={box} onKeyDown={keys}>
      <button class="round" type="button" aria-label="Menu" title="Menu" aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        <MoreIcon />
      </button>
      {open && (
        <div class="menu-items" role="menu">
          {dev && (
            <button type="button" role="menuitem" onClick={switchUser}>
              Use another name in this tab
            </button>
          )}
          <button type="button" role="menuitem" onClick={signOut}>
            Sign out and remove messages from this browser
          </button>
        </div>
      )}
    </div>
  );
}
