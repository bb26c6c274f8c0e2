// Calls the admin API for the dashboard.

// call sends one request and returns the answer's JSON, null if it has none. It throws an
// Error with a message for the operator. If there was an answer, the error also has its
// status and its problem details.
export async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", "X-Lb-Dashboard": "1" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The balancer doesn't answer.");
  }
  if (answer.status === 204) {
    return null;
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw Object.assign(new Error(data.detail || `The balancer answered ${answer.status}.`), { status: answer.status, problem: data });
  }
  return data;
}

// takeFragment returns the token of a link that ends in #token=…, and removes it from the
// address bar.
export function takeFragment() {
  const [, token] = location.hash.match(/^#token=(.+)$/) || [];
  if (location.hash) {
    history.replaceState(null, "", location.pathname);
  }
  try {
    return decodeURIComponent(token || "");
  } catch { // it isn't percent-encoded
    return token;
  }
}
