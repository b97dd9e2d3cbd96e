// One iteration of the mix that a busy service sees: nearly always somebody reads a
// page, and now and then somebody writes.

import { nobody, person } from './api.js';
import { problem } from './expect.js';
import { iteration, roll, zipf } from './random.js';
import { pageRoute, read, readers } from './reading.js';
import { tell, writes } from './stories.js';
import { processes } from './target.js';

// A story is some 9 writes and 25 reads, so one in 130 iterations makes 5 % of all
// requests writes.
const storyShare = 1 / 130;
const strangerShare = 1 / 100;

// routes is the bounds of the mix in ms, for thresholds.
export const routes = { [pageRoute]: 250, ...Object.fromEntries(writes.map((name) => [name, 500])) };

// mixture returns the iteration over these communities: the first ones are read, and
// written to, the most.
export function mixture() {
  const drawReader = readers();
  let drawCommunity; // begun with the first iteration, which brings the communities
  return ({ communities }) => {
    const d = roll();
    drawCommunity = drawCommunity || zipf(communities.length, 1);
    const community = communities[drawCommunity(d)];
    const at = d.pick(processes);
    const drawn = d.next();
    if (drawn < storyShare) {
      tell(at, community, iteration());
    } else if (drawn < storyShare + strangerShare) {
      intrude(at, d);
    } else {
      read(at, community, drawReader(d));
    }
  };
}

// intrude asks for a private community's page as people who are no members: to them
// it does not exist, whoever has just read it.
function intrude(at, d) {
  const as = d.chance(0.5) ? nobody : person(42);
  const response = at.send('GET', '/api/communities/{id}/posts', { params: { id: 13 }, as, expect: [404] });
  problem('a private page of a stranger', response, 404, [], pageRoute);
}
