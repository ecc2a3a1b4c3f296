// produce|consume BOOTSTRAP STREAM GROUP with kafkajs: lines of stdin out, lines of stdout in.
const { Kafka, logLevel } = require('kafkajs')
const [what, bootstrap, stream, group] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
async function produce() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean)
  await producer.send({ topic: stream, acks: -1, messages: lines.map(value => ({ value })) })
  await producer.disconnect()
}
async function consume() {
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 10000 })
  await consumer.connect()
  await consumer.subscribe({ topic: stream, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => console.log(message.value.toString()) })
}
(what === 'produce' ? produce() : consume()).catch(error => { console.error(error); process.exit(1) })
