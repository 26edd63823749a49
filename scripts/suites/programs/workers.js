// Worker threads that share memory, an HTTP server with clients, WebAssembly, and a loop that is compiled, deoptimised
// and compiled again.
const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');
const http = require('node:http');
const crypto = require('node:crypto');
const zlib = require('node:zlib');
const { execFileSync } = require('node:child_process');

if (!isMainThread) {
    const { shared, number } = workerData;
    const cells = new Int32Array(shared);
    for (let i = 0; i < 20000; i++) Atomics.add(cells, 0, 1);
    Atomics.add(cells, 1, 1);
    Atomics.notify(cells, 1);
    let objects = [];
    for (let i = 0; i < 200000; i++) objects[i % 1000] = { i, text: 'x' + i };
    parentPort.postMessage(number * 10 + objects.length);
    return;
}

function workers() {
    const shared = new SharedArrayBuffer(8);
    const all = [...Array(6).keys()].map((number) => new Promise((done, failed) => {
        const worker = new Worker(__filename, { workerData: { shared, number } });
        worker.on('message', done);
        worker.on('error', failed);
    }));
    return Promise.all(all).then((sums) => console.log('workers', sums.join(), new Int32Array(shared).join()));
}

function request(port, i) {
    return new Promise((done, failed) => {
        const body = 'y'.repeat(i * 10);
        const sent = http.request({ port, host: '127.0.0.1', method: 'POST', agent }, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part));
            answer.on('end', () => {
                const expected = crypto.createHash('sha256').update(body).digest('hex');
                done(zlib.gunzipSync(Buffer.concat(parts)).toString() === expected);
            });
        });
        sent.on('error', failed);
        sent.end(body);
    });
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

async function server() {
    const listening = http.createServer((incoming, answer) => {
        const hash = crypto.createHash('sha256');
        incoming.on('data', (part) => hash.update(part));
        incoming.on('end', () => zlib.gzip(hash.digest('hex'), (_, packed) => answer.end(packed)));
    });
    await new Promise((ready) => listening.listen(0, '127.0.0.1', ready));
    const results = await Promise.all([...Array(500).keys()].map((i) => request(listening.address().port, i)));
    console.log('requests', results.length, results.every(Boolean));
    agent.destroy();
    listening.close();
}

function shape(n) {
    return n % 3 === 0 ? { a: n, b: 1 } : n % 3 === 1 ? { b: 2, a: n } : { a: n + 0.5, c: 3, b: 4 };
}

function loop(rounds, make) {
    let sum = 0;
    for (let i = 0; i < rounds; i++) {
        const object = make(i);
        sum = (sum + object.a * object.b) % 1000003;
    }
    return sum;
}

async function main() {
    console.log('loop', loop(5e6, (i) => ({ a: i, b: 1 })), loop(5e6, shape), loop(1e6, (i) => ({ a: BigInt(i) % 7n === 3n ? 1 : 2, b: 1 })));
    const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0,
        10, 30, 1, 28, 0, 32, 0, 65, 2, 72, 4, 127, 32, 0, 5, 32, 0, 65, 1, 107, 16, 0, 32, 0, 65, 2, 107, 16, 0, 106, 11, 11]);
    console.log('wasm', (await WebAssembly.instantiate(wasm)).instance.exports.f(25));
    await workers();
    await server();
    console.log('child', execFileSync(process.execPath, ['-e', 'console.log(6 * 7)']).toString().trim());
    console.log('regexp', 'the quick brown fox'.replace(/(\w+) (\w+)/g, '$2 $1'), [3, 1, 2].sort().join());
}

main();
