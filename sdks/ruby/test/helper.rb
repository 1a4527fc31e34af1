# frozen_string_literal: true

require "json"
require "minitest/autorun"
require "massivesms"
require_relative "operations"

BASE_URL = "http://127.0.0.1:1"

# What the suites have in common.
module Helper
  # Read a file of the shared vectors.
  def vectors(name)
    folder = ENV.fetch("MASSIVESMS_VECTORS", File.expand_path("../../vectors", __dir__))
    path = File.join(folder, "#{name}.json")
    skip "the vectors are in the repository alone" unless File.exist?(path)
    JSON.parse(File.read(path))
  end

  def client(transport, **options)
    MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: BASE_URL, transport: transport, **options)
  end

  # Make a call by the id of its operation, with arguments by their names on the wire.
  def call(client, operation_id, args, **options)
    resource, method, ids, = OPERATIONS.fetch(operation_id)
    named = args.reject { |name, _| ids.include?(name) }.transform_keys { |name| name.tr("[", "_").delete("]").to_sym }
    client.public_send(resource).public_send(method, *args.values_at(*ids), **named, **options)
  end

  def transport(*answers) = MassiveSMS::Testing::Transport.new(*answers)

  def answer(given)
    case given["fault"]
    when "connection" then Errno::ECONNRESET.new
    when "timeout" then MassiveSMS::APITimeoutError.new("timed out")
    else { status: given["status"], headers: given["headers"], body: given["body"] }
    end
  end

  def kind(error) = error.class.name.delete_prefix("MassiveSMS::")
end
