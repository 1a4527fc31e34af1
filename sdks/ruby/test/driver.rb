# frozen_string_literal: true

# Makes the calls that the conformance run asks for: see sdks/conformance/README.md of the repository.

require "json"
require "massivesms"
require_relative "operations"

CLIENT = MassiveSMS::Client.new

def answer(order)
  resource, method, ids, = OPERATIONS.fetch(order["operation_id"])
  named = order["args"].reject { |name, _| ids.include?(name) }.transform_keys { |name| name.tr("[", "_").delete("]").to_sym }
  options = order.fetch("options", {}).transform_keys(&:to_sym)
  result = CLIENT.public_send(resource).public_send(method, *order["args"].values_at(*ids), **named, request_options: options)
  return { ids: result.auto_paging_each.map(&:id) } if order["all"]

  response = result.last_response
  { result: JSON.parse(response.body), request_id: response.request_id, tries: response.attempts,
    idempotency_key: response.idempotency_key }
rescue MassiveSMS::Error => e
  { error: refused(e) }
end

def refused(error)
  told = %i[status code request_id idempotency_key].to_h { |name| [name, error.respond_to?(name) ? error.public_send(name) : nil] }
  told.merge(name: error.class.name.delete_prefix("MassiveSMS::"), tries: error.respond_to?(:attempts) ? error.attempts : nil)
end

$stdout.sync = true
$stdin.each_line { |line| puts JSON.generate(answer(JSON.parse(line))) }
