# frozen_string_literal: true

module MassiveSMS
  # What resources have in common.
  class Resource
    def initialize(client)
      @client = client
    end

    # Describe the resource.
    def inspect = "#<#{self.class}>"

    private

    # Make a request and return its answer as a model.
    def fetch(model, http_method, path, ids, query, body, request_options)
      response = @client.request(http_method, Values.path(path, ids), query: set(query), body: body && set(body),
                                                                      request_options: request_options)
      model.from(JSON.parse(response.body), response)
    end

    # Return the first page of a list.
    def fetch_list(model, path, ids, query, request_options)
      Page.new(@client, model, Values.path(path, ids), set(query), request_options)
    end

    def set(parameters) = parameters.reject { |_, value| UNSET.equal?(value) }
  end
end
