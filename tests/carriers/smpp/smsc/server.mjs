// A message centre by npm's smpp. It accepts, throttles and breaks off as told, brings receipts and inbound messages
// until they are answered, and writes down what it accepted.
//
// Started with a JSON object of options as its argument; takes one JSON command a line on stdin and answers each with
// one line on stdout.
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import smpp from 'smpp';

const options = { seed: 1, throttle: 0, drop: 0, receipts: true, by: 'both', inFlight: 100, ...JSON.parse(process.argv[2] ?? '{}') };
const accepted = [];
const sessions = new Set();
const waiting = [];
const brought = { answered: 0, refused: 0, again: 0 };
let binds = 0;
let nextId = options.firstId ?? 1;

// xorshift32: the same faults each run.
let state = options.seed >>> 0 || 1;
function random() {
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state / 2 ** 32;
}

const server = smpp.createServer({}, (session) => {
  const peer = { session, bound: false, sends: false, inFlight: new Set() };
  session.on('error', () => session.destroy());
  session.on('close', () => {
    sessions.delete(peer);
    // What was not answered is brought again, before the rest.
    brought.again += peer.inFlight.size;
    waiting.unshift(...peer.inFlight);
    peer.inFlight.clear();
    bring();
  });
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => {
      if (pdu.password !== 'secret') {
        session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
        return;
      }
      session.send(pdu.response({ system_id: 'foreign' }));
      peer.bound = true;
      peer.sends = bind !== 'bind_transmitter';
      sessions.add(peer);
      binds++;
      bring();
    });
  }
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('submit_sm', (pdu) => submitted(session, pdu));
});

function submitted(session, pdu) {
  const drawn = random();
  if (drawn < options.throttle) {
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    return;
  }
  const drops = random() < options.drop;
  if (drops && drawn < 0.5) {
    session.destroy();
    return;
  }
  const id = (nextId++).toString(16).toUpperCase();
  const content = pdu.message_payload ?? pdu.short_message;
  const header = content.udh?.[0];
  const text = typeof content === 'string' ? content : content.message;
  const part = header ? { ref: header[2], count: header[3], number: header[4] }
    : pdu.sar_total_segments ? { ref: pdu.sar_msg_ref_num, count: pdu.sar_total_segments, number: pdu.sar_segment_seqnum }
    : { ref: 0, count: 1, number: 1 };
  accepted.push({ id, to: pdu.destination_addr, from: pdu.source_addr, text, ...part });
  if (options.receipts && pdu.registered_delivery === 1) {
    waiting.push(receipt(id, pdu));
  }
  if (drops) {
    session.destroy();
    return;
  }
  session.send(pdu.response({ message_id: id }));
  bring();
}

function receipt(id, pdu) {
  const made = {
    source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
    short_message: '', registered_delivery: 0, data_coding: 0,
  };
  if (options.by !== 'tlv') {
    made.short_message = `id:${id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:`;
  }
  if (options.by !== 'text') {
    made.receipted_message_id = id;
    made.message_state = 2;
  }
  return made;
}

function bring() {
  for (const peer of sessions) {
    while (peer.sends && waiting.length && peer.inFlight.size < options.inFlight) {
      const fields = waiting.shift();
      peer.inFlight.add(fields);
      const written = peer.session.deliver_sm(fields, (answer) => {
        if (!peer.inFlight.delete(fields)) return;
        if (answer.command_status === 0) {
          brought.answered++;
        } else {
          brought.refused++;
          setTimeout(() => { waiting.push(fields); bring(); }, 20);
        }
        bring();
      });
      if (!written) {
        peer.inFlight.delete(fields);
        waiting.unshift(fields);
        break;
      }
    }
  }
}

const commands = {
  kill: () => { for (const peer of [...sessions]) peer.session.destroy(); },
  unbind: () => { for (const peer of [...sessions]) { peer.sends = false; peer.session.unbind(() => peer.session.close()); } },
  inbound: ({ messages }) => {
    for (const { from, to, text } of messages) {
      waiting.push({ source_addr_ton: 1, source_addr: from, destination_addr: to, short_message: text });
    }
    bring();
  },
  calm: () => { options.drop = options.throttle = 0; },
  state: () => ({
    accepted: accepted.length, binds, sessions: sessions.size, ...brought,
    waiting: waiting.length + [...sessions].reduce((sum, peer) => sum + peer.inFlight.size, 0),
  }),
  dump: ({ path }) => { writeFileSync(path, accepted.map((each) => JSON.stringify(each)).join('\n') + '\n'); },
};

server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
createInterface({ input: process.stdin }).on('line', (line) => {
  const { name, ...rest } = JSON.parse(line);
  console.log(JSON.stringify(commands[name](rest) ?? {}));
}).on('close', () => process.exit(0));
