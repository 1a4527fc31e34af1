// What Relay's compiler makes artifacts of, and the store below reads.
graphql`
  query operationsListsQuery($first: Int!, $after: String) {
    ...operationsLists_query @arguments(first: $first, after: $after)
  }
`;

graphql`
  fragment operationsLists_query on Query
  @refetchable(queryName: "operationsListsPaginationQuery")
  @argumentDefinitions(first: { type: "Int!" }, after: { type: "String" }) {
    contactLists(first: $first, after: $after) @connection(key: "operations_contactLists") {
      edges { cursor node { id name } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

graphql`
  query operationsNoneQuery {
    contactLists(first: 0) { edges { node { id } } totalCount pageInfo { hasNextPage endCursor } }
  }
`;

graphql`
  query operationsNodeQuery($id: ID!) {
    node(id: $id) { __typename id ... on ContactList { name } }
  }
`;

graphql`
  mutation operationsCreateMutation($name: String!) {
    createList(name: $name) { __typename ... on ContactList { id name } ... on Error { code } }
  }
`;

graphql`
  mutation operationsDeleteMutation($id: ID!) {
    deleteList(id: $id) { __typename ... on Deleted { deletedId @deleteRecord } ... on Error { code } }
  }
`;
