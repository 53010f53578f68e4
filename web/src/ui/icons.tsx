// Line icons, drawn on a grid of 24. They are decoration: what holds them is labelled.

import type { ComponentChildren } from "preact";

function Icon({ children, size = 22 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const BackIcon = () => <Icon><path d="M15 5l-7 7 7 7" /></Icon>;
export const ComposeIcon = () => <Icon><path d="M12 5v14M5 12h14" /></Icon>;
export const CloseIcon = () => <Icon><path d="M6 6l12 12M18 6L6 18" /></Icon>;
export const MoreIcon = () => <Icon><path d="M12 5.5v.01M12 12v.01M12 18.5v.01" stroke-width="2.6" /></Icon>;
export const SearchIcon = () => <Icon size={18}><circle cx="11" cy="11" r="6.5" /><path d="M16 16l4.5 4.5" /></Icon>;
export const DownIcon = () => <Icon><path d="M6 9.5l6 6 6-6" /></Icon>;
export const SendIcon = () => <Icon size={20}><path d="M21 3L10.500 13.500M21 3l-6.600 18-3.900-7.500L3 9.600 21 3z" /></Icon>;
export const PeopleIcon = () => <Icon size={20}><circle cx="9" cy="8.500" r="3.200" /><path d="M3 19c.5-3.500 3-5 6-5s5.500 1.500 6 5M15.500 5.600a3.200 3.200 0 010 5.800M17.500 14.500c2 .7 3.200 2.200 3.500 4.500" /></Icon>;

/** The bird: long legs, a long bill, on its way. */
export function Bird({ size = 40 }: { size?: number }) {
  return (
    <svg class="bird" width={size} height={size} viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      <g fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round">
        <path d="M22 31v11M27 31l1.500 11M22 42h-3M28.500 42h-3" />
        <path d="M35.500 13.200L46 11" />
      </g>
      <path fill="currentColor" d="M4 27c6-1 9-5 14-8 4-2.500 8-2.600 10.500-4.500C29.600 11.300 32 10 34 10.700c2.300.8 2.900 3.300 1.600 5.500-1.300 2.300-1.200 4.300-1.900 7.100C32.300 29 27.500 32.500 21.500 32c-4-.3-6.500-2.500-9.500-3.200C9.300 28.200 6.500 28.700 4 27z" />
    </svg>
  );
}
