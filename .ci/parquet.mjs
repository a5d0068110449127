// Compares all.parquet and clear.parquet with all.jsonl, by means of DuckDB.
import { DuckDBInstance } from '@duckdb/node-api';

const db = await (await DuckDBInstance.create(':memory:')).connect();
const rows = async (sql) => (await db.runAndReadAll(sql)).getRowObjectsJson();

// What a text, a time, a number and a JSON value are in either file.
const same = [
	'seq', 'uuid', 'hash', 'subject', 'state', 'type', 'model_id', 'provider', 'outcome', 'trace_id',
	'user_id', 'session_id', 'prompt', 'response', 'error', 'latency_ms', 'input_tokens', 'output_tokens',
].join(', ') + ', logged::timestamptz, time::timestamptz, cost::decimal(18, 9), ' +
	"(input_messages->'$')::varchar, (output_messages->'$')::varchar, (metadata->'$')::varchar, labels::varchar";
const given = {
	seq: 'bigint', uuid: 'varchar', hash: 'varchar', logged: 'timestamptz', subject: 'varchar', state: 'varchar',
	type: 'varchar', time: 'timestamptz', model_id: 'varchar', provider: 'varchar', outcome: 'varchar', trace_id: 'varchar',
	user_id: 'varchar', session_id: 'varchar', prompt: 'varchar', response: 'varchar', error: 'varchar',
	latency_ms: 'double', input_tokens: 'bigint', output_tokens: 'bigint', cost: 'json',
	input_messages: 'json', output_messages: 'json', metadata: 'json', labels: 'map(varchar, varchar)',
};
const columns = Object.entries(given).map(([name, type]) => `${name}: '${type}'`).join(', ');
const cost = `coalesce(cost->>'amount', cost::varchar)::decimal(18, 9)`; // an object, if not in US dollars
await db.run(`create view lines as select * replace (${cost} as cost) from read_json('all.jsonl', format = 'newline_delimited', maximum_object_size = 33554432, columns = {${columns}})`);
await db.run(`create view parquet as from 'all.parquet'`);

let bad = false;
const expect = (what, got, want) => {
	if (got !== want) {
		console.error(`parquet.mjs: ${what}: ${got}, want ${want}`);
		bad = true;
	}
};
for (const [a, b] of [['lines', 'parquet'], ['parquet', 'lines']]) {
	const differ = await rows(`select ${same} from ${a} except all select ${same} from ${b}`);
	expect(`rows of ${a} that are not in ${b}`, differ.length, 0);
	for (const row of differ.slice(0, 1)) console.error(JSON.stringify(row));
}
const count = async (from) => JSON.stringify(await rows(`select count(*) as n, sum(cost)::varchar as cost, sum(cardinality(labels))::bigint as labels from ${from}`));
expect('records, cost and labels', await count('parquet'), await count('lines'));
expect('the same in the clear', await count(`'clear.parquet'`), await count('lines'));
const names = (await rows(`describe from 'clear.parquet'`)).map((c) => c.column_name);
expect('columns of content in the clear', names.filter((n) => ['prompt', 'user_id', 'metadata', 'id'].includes(n)).length, 0);
console.log(`DuckDB ${(await rows('select version() as v'))[0].v}: ${await count('parquet')}`);
process.exit(bad ? 1 : 0);
