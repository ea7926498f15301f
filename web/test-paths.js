/** The paths that audio can take to the bridge, as a test tries them; used by connection-test.js. */

/**
 * @typedef {"udp" | "turn_udp" | "turn_tcp" | "turn_tls" | "websocket"} PathName
 *
 * @typedef {object} Path
 * @property {PathName} name
 * @property {(url: string) => boolean} uses  Whether it uses an ICE server's URL.
 * @property {boolean} [relay]  Through TURN only.
 * @property {boolean} [socket]  No WebRTC at all.
 */

const tcp = (/** @type {string} */ url) => /[?&]transport=tcp\b/i.test(url);

/** In the order in which browsers prefer them. @type {Path[]} */
export const PATHS = [
  { name: "udp", uses: (url) => url.startsWith("stun") },
  { name: "turn_udp", relay: true, uses: (url) => url.startsWith("turn:") && !tcp(url) },
  { name: "turn_tcp", relay: true, uses: (url) => url.startsWith("turn:") && tcp(url) },
  { name: "turn_tls", relay: true, uses: (url) => url.startsWith("turns:") },
  { name: "websocket", socket: true, uses: () => false },
];

/** The servers of one path, each with its URLs of this path only. @param {Path} path @param {RTCIceServer[]} all */
export function serversFor(path, all) {
  return all
    .map((server) => ({ ...server, urls: [server.urls].flat().filter(path.uses) }))
    .filter(({ urls }) => urls.length);
}
