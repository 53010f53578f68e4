// Text of strangers: never HTML. Only http and https addresses become links,
// and those tell the other site nothing about this one.

const ADDRESS = /\bhttps?:\/\/[^\s<>"'`]+/gi;
/** Signs that end a sentence rather than an address. */
const TRAILING = /[.,;:!?)\]}…]+$/;

export type Piece = { text: string; href?: string };

/** Cuts text into plain pieces and addresses; the pieces joined are the text. */
export function piecesOf(text: string): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  for (const m of text.matchAll(ADDRESS)) {
    const address = trim(m[0]);
    const href = safe(address);
    if (!href) continue;
    if (m.index > at) out.push({ text: text.slice(at, m.index) });
    out.push({ text: address, href });
    at = m.index + address.length;
  }
  if (at < text.length) out.push({ text: text.slice(at) });
  return out;
}

/** A closing bracket belongs to the address when its opening one does. */
function trim(s: string): string {
  const cut = s.replace(TRAILING, "");
  return s[cut.length] === ")" && cut.includes("(") && !cut.includes(")") ? cut + ")" : cut;
}

function safe(s: string): string | undefined {
  try {
    const u = new URL(s);
    return u.protocol === "https:" || u.protocol === "http:" ? u.href : undefined;
  } catch {
    return undefined;
  }
}

export function RichText({ text }: { text: string }) {
  return (
    <>
      {piecesOf(text).map((p, i) =>
        p.href ? (
          <a key={i} href={p.href} target="_blank" rel="noopener noreferrer nofollow">
            {p.text}
          </a>
        ) : (
          p.text
        ),
      )}
    </>
  );
}
