// Loops over table items with node-postgres; every attempt is a line of JSON on standard output. It ends when its standard
// input does. The one argument is where its rows begin.

const { Pool } = require("pg");

const low = Number(process.argv[2]);
let ending = false;
process.stdin.resume();
process.stdin.on("end", () => { ending = true; });

const report = (loop, rest) => process.stdout.write(JSON.stringify({ loop, ...rest }) + "\n");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const typesOf = (row) => Object.values(row).map((value) => typeof value).join(" ");

// A client of the pool for some statements, given back as it is whatever happens to them: as applications do that write
// "finally { client.release() }".
async function withClient(pool, work) {
    const client = await pool.connect();
    try {
        return await work(client);
    } finally {
        client.release();
    }
}

async function inTransaction(client, work) {
    await client.query("BEGIN");
    try {
        const result = await work();
        await client.query("COMMIT");
        return result;
    } catch (error) {
        await client.query("ROLLBACK");
        throw error;
    }
}

const bump = (table) => ({ name: `bump ${table}`, text: `UPDATE ${table} SET n = n + 1 WHERE id = $1 RETURNING note` });

// Each gives a row, whose types are reported.
const loops = {
    "named, pool.query": async (pool, key) =>
        (await pool.query({ name: "read", text: "SELECT id, n FROM items WHERE id = $1", values: [key] })).rows[0],
    "named, client kept": async (pool, key) => withClient(pool, async (client) =>
        (await client.query({ name: "read", text: "SELECT id, n FROM items WHERE id = $1", values: [key] })).rows[0]),
    "unnamed": async (pool, key) => (await pool.query("SELECT id, n FROM items WHERE id = $1", [key])).rows[0],
    "named writes": async (pool, key) => withClient(pool, async (client) => inTransaction(client, async () => {
        const here = await client.query({ ...bump("items"), values: [key] });
        const there = await client.query({ ...bump("items_mirror"), values: [key] });
        if (here.rows[0].note !== there.rows[0].note) throw new Error("the rows differ");
        return here.rows[0];
    })),
};

async function run(loop, step) {
    const pool = new Pool({ max: 2 });
    pool.on("error", (error) => report(loop, { code: error.code || "error", message: error.message }));
    for (let number = 0; !ending; number++) {
        try {
            const row = await step(pool, low + number % 100);
            report(loop, { types: typesOf(row) });
        } catch (error) {
            report(loop, { code: error.code || error.name, message: error.message });
        }
        await pause(15);
    }
    await pool.end();
}

Promise.all(Object.entries(loops).map(([loop, step]) => run(loop, step))).then(() => process.exit(0));
